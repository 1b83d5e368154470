"""Strategic merge patch, with the merge keys of the kinds that the stand-in serves.

Behaves like k8s.io/apimachinery/pkg/util/strategicpatch, the order of merged lists included.
"""

import copy
from collections.abc import Hashable, Sequence
from typing import Any

from aegis_flows.lab.kube.objects import Object

_MERGE_KEYS = {
    "conditions": "type",
    "containers": "name",
    "env": "name",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "topologySpreadConstraints": "topologyKey",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
_SETS = frozenset({"finalizers"})
_DIRECTIVE = "$patch"
_ORDER = "$setElementOrder/"
_RETAIN = "$retainKeys"
_DELETE_FROM = "$deleteFromPrimitiveList/"


def merged(current: Object, patch: Object) -> Object:
    """The patched object, as a new value. Null deletes a key; `$patch`, `$retainKeys` and the list orders are kept."""
    match patch.get(_DIRECTIVE):
        case "delete":
            return {}
        case "replace":
            return {key: copy.deepcopy(value) for key, value in patch.items() if key != _DIRECTIVE}
    result = copy.deepcopy(current)
    if _RETAIN in patch:
        result = {key: value for key, value in result.items() if key in patch[_RETAIN]}
    for key, value in patch.items():
        if key.startswith(_ORDER):
            _merge_field(result, key.removeprefix(_ORDER), patch.get(key.removeprefix(_ORDER), []), value)
        elif not key.startswith("$") and _ORDER + key not in patch:
            _merge_field(result, key, value, None)
    _delete_from_sets(result, patch)
    return result


def _merge_field(result: Object, key: str, value: object, order: list[Any] | None) -> None:
    if value is None:
        result.pop(key, None)
    elif isinstance(value, dict):
        result[key] = merged(result[key] if isinstance(result.get(key), dict) else {}, value)
    elif isinstance(value, list):
        result[key] = _merged_list(key, result.get(key) or [], value, order)
    else:
        result[key] = value


def _delete_from_sets(result: Object, patch: Object) -> None:
    for directive, values in patch.items():
        if directive.startswith(_DELETE_FROM):
            key = directive.removeprefix(_DELETE_FROM)
            result[key] = [value for value in result.get(key) or [] if value not in values]


def _merged_list(key: str, current: list[Any], patch: list[Any], order: list[Any] | None) -> list[Any]:
    if key in _SETS:
        return [*current, *(value for value in patch if value not in current)]
    merge_key = _merge_key(key, patch or order or current)
    if merge_key is None:
        return [one for one in copy.deepcopy(patch) if not (isinstance(one, dict) and one.keys() == {_DIRECTIVE})]
    if any(one.get(_DIRECTIVE) == "replace" for one in patch):
        return [merged({}, one) for one in patch if one.get(_DIRECTIVE) != "replace"]
    return _merged_maps(merge_key, current, patch, order)


def _merge_key(key: str, items: Sequence[Any]) -> str | None:
    """The key by which items are matched; a `ports` list is a container's or a Service's, which differ."""
    if key == "ports":
        return "containerPort" if any("containerPort" in one for one in items) else "port"
    return _MERGE_KEYS.get(key)


def _merged_maps(key: str, current: list[Any], patch: list[Any], order: list[Any] | None) -> list[Any]:
    before = {one.get(key): one for one in current}
    gone = {one.get(key) for one in patch if one.get(_DIRECTIVE) == "delete"}
    touched = {one[key]: merged(before.get(one[key], {}), one) for one in patch if one.get(key) not in gone}
    untouched = {one: copy.deepcopy(value) for one, value in before.items() if one not in touched and one not in gone}
    wanted = [one.get(key) for one in order or []]
    first = sorted(touched, key=lambda one: wanted.index(one) if one in wanted else len(wanted))
    everything = touched | untouched
    if order:
        # kubectl sends the order of all elements that it knows, patched or not
        first = [one for one in wanted if one in everything] + [one for one in first if one not in wanted]
    rest = [one for one in untouched if one not in first]
    return [everything[one] for one in _interleaved(rest, first, list(before))]


def _interleaved(left: list[Hashable], right: list[Hashable], server_order: list[Hashable]) -> list[Hashable]:
    """Both lists in their own order; an item of `left` goes before the first of `right` that the server has later."""
    result: list[Hashable] = []
    left, right = list(left), list(right)
    while left and right:
        known = left[0] in server_order and right[0] in server_order
        earlier = known and server_order.index(left[0]) < server_order.index(right[0])
        result.append(left.pop(0) if earlier else right.pop(0))
    return [*result, *left, *right]
