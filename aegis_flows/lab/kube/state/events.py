"""What the controllers report about an object, as `kubectl describe` shows it."""

from aegis_flows.lab.kube.errors import StatusError
from aegis_flows.lab.kube.objects import Object, name, namespace, now, uid
from aegis_flows.lab.kube.resources import EVENTS
from aegis_flows.lab.kube.state import writes
from aegis_flows.lab.kube.state.registry import Registry

WARNING = "Warning"


def record(registry: Registry, regarding: Object, reason: str, message: str, kind: str = "Normal") -> None:
    """Record an event, or count it up if the same was said before; a namespace that is ending takes no more."""
    before = _same(registry, regarding, reason, message)
    if before is not None:
        registry.edit(EVENTS, before, _count_up)
        return
    try:
        registry.create(EVENTS, namespace(regarding), _event(regarding, reason, message, kind))
    except StatusError as error:
        if error.code not in (403, 404):
            raise


def _same(registry: Registry, regarding: Object, reason: str, message: str) -> Object | None:
    said = (uid(regarding), reason, message)
    for event in registry.store.all("events", namespace(regarding)):
        if (event["involvedObject"].get("uid"), event.get("reason"), event.get("message")) == said:
            return event
    return None


def _count_up(event: Object) -> None:
    event["count"] = event.get("count", 1) + 1
    event["lastTimestamp"] = now()


def _event(regarding: Object, reason: str, message: str, kind: str) -> Object:
    metadata = {"name": f"{name(regarding)}.{writes.suffix(10)}", "namespace": namespace(regarding)}
    involved = {
        "kind": regarding["kind"],
        "apiVersion": regarding["apiVersion"],
        "namespace": namespace(regarding),
        "name": name(regarding),
        "uid": uid(regarding),
    }
    return {
        "metadata": metadata,
        "involvedObject": involved,
        "reason": reason,
        "message": message,
        "type": kind,
        "count": 1,
        "firstTimestamp": now(),
        "lastTimestamp": now(),
        "source": {"component": "aegis-lab"},
    }
