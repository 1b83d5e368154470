"""What a pod's status says about its one process."""

from dataclasses import dataclass, field

from aegis_flows.lab.kube.network.ports import HOST
from aegis_flows.lab.kube.node.usage import CONTAINER_SCHEME
from aegis_flows.lab.kube.objects import Object, now, with_condition


@dataclass(frozen=True)
class Seen:
    """What the kubelet sees of a pod; the states are those of the API (waiting, running, terminated)."""

    state: Object
    phase: str = "Running"
    ready: bool = False
    restarts: int = 0
    pid: int | None = None
    last_state: Object = field(default_factory=dict)


def status(pod: Object, seen: Seen) -> Object:
    """The pod's next status."""
    before = pod["status"]
    conditions = before.get("conditions") or []
    truths = {"PodScheduled": True, "Initialized": True, "ContainersReady": seen.ready, "Ready": seen.ready}
    for kind, holds in truths.items():
        conditions = with_condition(conditions, {"type": kind, "status": str(holds)})
    return {
        "phase": seen.phase,
        "hostIP": HOST,
        "podIP": HOST,
        "podIPs": [{"ip": HOST}],
        "startTime": before.get("startTime", now()),
        "conditions": conditions,
        "containerStatuses": [_container(pod, seen)],
    }


def _container(pod: Object, seen: Seen) -> Object:
    container = pod["spec"]["containers"][0]
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": container["image"],
        "containerID": f"{CONTAINER_SCHEME}{seen.pid}" if seen.pid else "",
        "ready": seen.ready,
        "started": "running" in seen.state,
        "restartCount": seen.restarts,
        "state": seen.state,
        "lastState": seen.last_state,
    }


def waiting(reason: str, message: str) -> Object:
    return {"waiting": {"reason": reason, "message": message}}


def running(since: str) -> Object:
    return {"running": {"startedAt": since}}


def terminated(code: int, since: str) -> Object:
    """An end by a signal has exit code 128 + signal, as in a shell."""
    shown = code if code >= 0 else 128 - code
    reason = "Error" if code else "Completed"
    return {"terminated": {"exitCode": shown, "reason": reason, "startedAt": since, "finishedAt": now()}}
