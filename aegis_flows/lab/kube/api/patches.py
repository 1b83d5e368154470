"""The three patch formats that kube-apiserver and the stand-in share."""

import copy
import json
from typing import Any

import jsonpatch

from aegis_flows.lab.kube.api import strategic
from aegis_flows.lab.kube.errors import bad_request, rejected, unsupported_media_type
from aegis_flows.lab.kube.objects import Object

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"


def patched(current: Object, media_type: str, body: bytes) -> Object:
    """The object after the patch, as a new value; a 400, 415 or 422 says why it does not apply."""
    kind = media_type.split(";", maxsplit=1)[0].strip()
    if kind not in (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH):
        raise unsupported_media_type(kind, (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH))
    patch = _decoded(body, list if kind == JSON_PATCH else dict)
    if kind == JSON_PATCH:
        return _json_patched(current, patch)
    try:
        return strategic.merged(current, patch) if kind == STRATEGIC_PATCH else merged(current, patch)
    except (AttributeError, KeyError, TypeError) as error:
        raise bad_request(f"the patch does not fit the object: {error!r}") from error


def _decoded(body: bytes, wanted: type) -> Any:
    try:
        patch = json.loads(body)
    except ValueError as error:
        raise bad_request(f"error decoding patch: {error}") from error
    if not isinstance(patch, wanted):
        raise bad_request(f"error decoding patch: a {wanted.__name__} is wanted, this is a {type(patch).__name__}")
    return patch


def _json_patched(current: Object, patch: list[Object]) -> Object:
    try:
        result = jsonpatch.JsonPatch(patch).apply(current)
    except jsonpatch.InvalidJsonPatch as error:
        raise bad_request(f"error decoding patch: {error}") from error
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError) as error:
        raise rejected(str(error)) from error
    if not isinstance(result, dict):
        raise rejected("the patch leaves no object")
    return result


def merged(current: Object, patch: Object) -> Object:
    """JSON merge patch (RFC 7386): null deletes, objects merge, everything else replaces."""
    result = copy.deepcopy(current)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            before = result.get(key)
            result[key] = merged(before if isinstance(before, dict) else {}, value)
        else:
            result[key] = value
    return result
