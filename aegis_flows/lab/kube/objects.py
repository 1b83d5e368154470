"""The API's JSON objects, and the questions that every part of the stand-in asks of them."""

from datetime import UTC, datetime
from typing import Any, TypeAlias

Object: TypeAlias = dict[str, Any]

PORT_ANNOTATION = "prometheus.io/port"


def now() -> str:
    """The time as the API writes it: RFC 3339, whole seconds, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def truth(text: str | None) -> bool:
    """A boolean query parameter, in every spelling that clients use (Go's strconv.ParseBool)."""
    return text in ("1", "t", "T", "true", "TRUE", "True")


def name(item: Object) -> str:
    return str(item["metadata"].get("name", ""))


def namespace(item: Object) -> str:
    return str(item["metadata"].get("namespace", ""))


def uid(item: Object) -> str:
    return str(item["metadata"]["uid"])


def labels(item: Object) -> dict[str, str]:
    return item["metadata"].get("labels") or {}


def annotations(item: Object) -> dict[str, str]:
    return item["metadata"].get("annotations") or {}


def owners(item: Object) -> list[Object]:
    return item["metadata"].get("ownerReferences") or []


def owned_by(item: Object, owner: Object) -> bool:
    return any(reference["uid"] == uid(owner) for reference in owners(item))


def owner_reference(owner: Object) -> Object:
    """What a controller writes into the objects that it makes."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name(owner),
        "uid": uid(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def deleting(item: Object) -> bool:
    return "deletionTimestamp" in item["metadata"]


def ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def finished(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def with_condition(conditions: list[Object], new: Object) -> list[Object]:
    """The conditions with one of them replaced or added; a status that stays keeps its lastTransitionTime."""
    old = next((condition for condition in conditions if condition["type"] == new["type"]), None)
    kept = old is not None and old["status"] == new["status"]
    since = old["lastTransitionTime"] if old and kept else now()
    others = [condition for condition in conditions if condition["type"] != new["type"]]
    return sorted([*others, {**new, "lastTransitionTime": since}], key=lambda condition: str(condition["type"]))
