"""The columns that `kubectl get` asks the server for (meta.k8s.io/v1 Table)."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from aegis_flows.lab.kube.network import ports
from aegis_flows.lab.kube.objects import Object, deleting, moment, name
from aegis_flows.lab.kube.resources import Resource

_MINUTE, _HOUR = 60, 3600  # seconds

Column = tuple[str, Callable[[Object], object]]


def wanted(accept: str) -> bool:
    return "as=Table" in accept


def table(resource: Resource, items: Iterable[Object], revision: str) -> Object:
    """One row for each object, with the object's metadata beside it for kubectl's own columns."""
    columns = (("Name", name), *_COLUMNS.get(resource.plural, ()), ("Age", _age))
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": revision},
        "columnDefinitions": [_definition(title) for title, _ in columns],
        "rows": [_row(item, columns) for item in items],
    }


def _definition(title: str) -> Object:
    return {
        "name": title,
        "type": "string",
        "format": "name" if title == "Name" else "",
        "description": "",
        "priority": 0,
    }


def _row(item: Object, columns: Sequence[Column]) -> Object:
    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}
    return {"cells": [read(item) for _, read in columns], "object": partial}


def duration(seconds: float) -> str:
    """A duration in one unit, as kubectl rounds it down: 119s, 179m, 3h."""
    whole = max(0, int(seconds))
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    return f"{whole // _MINUTE}m" if whole < 3 * _HOUR else f"{whole // _HOUR}h"


def _age(item: Object) -> str:
    return duration((datetime.now(UTC) - moment(item["metadata"]["creationTimestamp"])).total_seconds())


def _containers(pod: Object) -> list[Object]:
    return pod["status"].get("containerStatuses") or []


def _pod_ready(pod: Object) -> str:
    return f"{sum(one['ready'] for one in _containers(pod))}/{len(pod['spec']['containers'])}"


def _pod_status(pod: Object) -> str:
    if deleting(pod):
        return "Terminating"
    waiting = [one["state"]["waiting"]["reason"] for one in _containers(pod) if "waiting" in one["state"]]
    return str(waiting[0] if waiting else pod["status"]["phase"])


def _restarts(pod: Object) -> int:
    return sum(one["restartCount"] for one in _containers(pod))


def _status(field: str) -> Callable[[Object], int]:
    return lambda item: item["status"].get(field, 0)


def _of_spec(field: str) -> Callable[[Object], object]:
    return lambda item: item["spec"].get(field)


def _ready_of_wanted(item: Object) -> str:
    return f"{_status('readyReplicas')(item)}/{item['spec']['replicas']}"


def _service_ports(service: Object) -> str:
    outside = ports.of_service(service)
    shown = [
        f"{port['port']}:{outside[index]}" if outside else str(port["port"])
        for index, port in enumerate(service["spec"]["ports"])
    ]
    return ",".join(f"{port}/TCP" for port in shown)


def _reference(item: Object) -> str:
    target = item["spec"]["scaleTargetRef"]
    return f"{target['kind']}/{target['name']}"


def _regarding(event: Object) -> str:
    return f"{event['involvedObject'].get('kind', '').lower()}/{event['involvedObject'].get('name', '')}"


def _data(item: Object) -> int:
    return len(item.get("data") or {})


_COLUMNS: dict[str, tuple[Column, ...]] = {
    "pods": (("Ready", _pod_ready), ("Status", _pod_status), ("Restarts", _restarts)),
    "deployments": (
        ("Ready", _ready_of_wanted),
        ("Up-to-date", _status("updatedReplicas")),
        ("Available", _status("availableReplicas")),
    ),
    "replicasets": (
        ("Desired", _of_spec("replicas")),
        ("Current", _status("replicas")),
        ("Ready", _status("readyReplicas")),
    ),
    "services": (("Type", _of_spec("type")), ("Cluster-IP", _of_spec("clusterIP")), ("Port(s)", _service_ports)),
    "horizontalpodautoscalers": (
        ("Reference", _reference),
        ("Minpods", _of_spec("minReplicas")),
        ("Maxpods", _of_spec("maxReplicas")),
        ("Replicas", _status("currentReplicas")),
    ),
    "configmaps": (("Data", _data),),
    "secrets": (("Type", lambda item: item["type"]), ("Data", _data)),
    "namespaces": (("Status", lambda item: item["status"]["phase"]),),
    "events": (
        ("Type", lambda item: item.get("type", "")),
        ("Reason", lambda item: item.get("reason", "")),
        ("Object", _regarding),
        ("Message", lambda item: item.get("message", "")),
    ),
}
