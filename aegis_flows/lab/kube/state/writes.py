"""What a request's body becomes before it is stored: metadata that the server owns, defaults, checks. No I/O."""

import copy
import secrets
import uuid
from typing import Any

from aegis_flows.lab.kube.errors import bad_request, conflict
from aegis_flows.lab.kube.objects import Object, name, namespace, now, uid
from aegis_flows.lab.kube.resources import DEPLOYMENTS, NAMESPACES, REPLICA_SETS, Resource
from aegis_flows.lab.kube.state import defaults, validation

SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # the API's own: no vowels, so no words
_SERVER_OWNED = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")
_COUNTED = (DEPLOYMENTS, REPLICA_SETS)
_FIRST_STATUS: dict[str, Object] = {
    "pods": {"phase": "Pending"},
    "namespaces": {"phase": "Active"},
    "deployments": {},
    "replicasets": {"replicas": 0},
    "horizontalpodautoscalers": {"currentReplicas": 0, "desiredReplicas": 0},
    "services": {"loadBalancer": {}},
}


def suffix(length: int = 5) -> str:
    return "".join(secrets.choice(SUFFIX_ALPHABET) for _ in range(length))


def created(resource: Resource, inside: str, body: Object) -> Object:
    """The object to store for a POST."""
    item = _typed(resource, body)
    metadata = item["metadata"]
    if metadata.get("resourceVersion"):
        raise bad_request("resourceVersion should not be set on objects to be created")
    _in_namespace(resource, metadata, inside)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = f"{metadata['generateName']}{suffix()}"
    for field in _SERVER_OWNED:
        metadata.pop(field, None)
    metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": now()}
    if resource in _COUNTED:
        metadata["generation"] = 1
    if resource is NAMESPACES:
        metadata["labels"] = (metadata.get("labels") or {}) | {"kubernetes.io/metadata.name": name(item)}
    item.pop("status", None)
    if resource.plural in _FIRST_STATUS:
        item["status"] = copy.deepcopy(_FIRST_STATUS[resource.plural])
    _fill_and_check(resource, item, None)
    return item


def updated(resource: Resource, before: Object, body: Object) -> Object:
    """The object to store for a PUT or PATCH of everything but the status."""
    item = _typed(resource, body)
    metadata = item["metadata"]
    _same_object(resource, before, metadata)
    for field in _SERVER_OWNED:
        metadata.pop(field, None)
        if field in before["metadata"]:
            metadata[field] = before["metadata"][field]
    item.pop("status", None)
    if "status" in before:
        item["status"] = copy.deepcopy(before["status"])
    _fill_and_check(resource, item, before)
    return counted(resource, before, item)


def with_status(resource: Resource, before: Object, body: Object) -> Object:
    """The object to store for a PUT or PATCH of the status alone."""
    item = _typed(resource, body)
    _same_object(resource, before, item["metadata"])
    return {**copy.deepcopy(before), "status": item.get("status", {})}


def counted(resource: Resource, before: Object, item: Object) -> Object:
    """The object with the next generation if what it asks for has changed."""
    if resource in _COUNTED and item["spec"] != before["spec"]:
        item["metadata"]["generation"] = before["metadata"]["generation"] + 1
    return item


def _typed(resource: Resource, body: Object) -> Object:
    item: Object = _without_nulls(body)
    for field, expected in (("kind", resource.kind), ("apiVersion", resource.api_version)):
        if item.get(field) is None:
            item[field] = expected
        if item[field] != expected:
            raise bad_request(f"{field} is {item[field]!r}, here it must be {expected!r}")
    metadata = item.setdefault("metadata", {})
    if not isinstance(metadata, dict):
        raise bad_request("metadata must be an object")
    metadata.pop("managedFields", None)
    return item


def _without_nulls(value: Any) -> Any:
    """A copy without nulls, which the API takes for absent."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def _in_namespace(resource: Resource, metadata: Object, inside: str) -> None:
    if not resource.namespaced:
        metadata.pop("namespace", None)
    elif metadata.setdefault("namespace", inside) != inside:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def _same_object(resource: Resource, before: Object, metadata: Object) -> None:
    if metadata.setdefault("name", name(before)) != name(before):
        raise bad_request(f"the name of the object ({metadata['name']}) does not match the name on the URL")
    _in_namespace(resource, metadata, namespace(before))
    if metadata.get("uid", uid(before)) != uid(before):
        why = f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta: {uid(before)}"
        raise conflict(resource, name(before), why)
    version = before["metadata"]["resourceVersion"]
    if (metadata.get("resourceVersion") or version) != version:
        raise conflict(resource, name(before))


def _fill_and_check(resource: Resource, item: Object, before: Object | None) -> None:
    try:
        defaults.fill(resource, item)
        validation.check(resource, item, before)
    except (AttributeError, KeyError, TypeError) as error:
        sentence = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}'
        raise bad_request(f"{sentence}: {error!r}") from error
