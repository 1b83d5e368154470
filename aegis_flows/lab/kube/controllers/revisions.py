"""A Deployment's replica sets: which one has today's template, and which revision each is."""

import copy
import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from aegis_flows.lab.kube.objects import Object, annotations, labels, name, owner_reference
from aegis_flows.lab.kube.state.writes import SUFFIX_ALPHABET

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
_NOT_INHERITED = frozenset({"kubectl.kubernetes.io/last-applied-configuration", REVISION})
_HASH_LENGTH = 10


def current(deployment: Object, sets: Iterable[Object]) -> Object | None:
    """The replica set whose pods are as the Deployment wants them now."""
    wanted = _essence(deployment["spec"]["template"])
    return next((one for one in sets if _essence(one["spec"]["template"]) == wanted), None)


def number(item: Object) -> int:
    return int(annotations(item).get(REVISION, "0"))


def next_number(new: Object, others: Sequence[Object]) -> int:
    """The revision that the current replica set should carry; going back to an old template is a new revision."""
    newest = max((number(one) for one in others), default=0)
    return max(number(new), newest + 1)


def inherited(deployment: Object) -> dict[str, str]:
    """The annotations that a replica set takes over, such as the change cause."""
    return {key: value for key, value in annotations(deployment).items() if key not in _NOT_INHERITED}


def replica_set(deployment: Object) -> Object:
    """A new replica set, without pods, for the Deployment's template."""
    template = copy.deepcopy(deployment["spec"]["template"])
    mark = {HASH_LABEL: _hash(template)}
    template["metadata"] = {**(template.get("metadata") or {}), "labels": _labels(template) | mark}
    selector = copy.deepcopy(deployment["spec"]["selector"])
    selector["matchLabels"] = (selector.get("matchLabels") or {}) | mark
    return {
        "metadata": {
            "name": f"{name(deployment)}-{mark[HASH_LABEL]}",
            "labels": _labels(template),
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": {"replicas": 0, "selector": selector, "template": template},
    }


def surplus(deployment: Object, old: Sequence[Object], busy: set[str]) -> list[Object]:
    """Old replica sets beyond the history that the Deployment keeps; those with pods stay."""
    idle = sorted((one for one in old if not one["spec"]["replicas"] and name(one) not in busy), key=number)
    return idle[: max(0, len(idle) - deployment["spec"]["revisionHistoryLimit"])]


def _labels(template: Object) -> dict[str, str]:
    return labels({"metadata": template.get("metadata") or {}})


def _hash(template: Object) -> str:
    digest = hashlib.sha256(json.dumps(_essence(template), sort_keys=True).encode()).digest()
    return "".join(SUFFIX_ALPHABET[byte % len(SUFFIX_ALPHABET)] for byte in digest[:_HASH_LENGTH])


def _essence(template: Object) -> Any:
    """The template without its hash and without empty values, which typed clients add and leave out at will."""
    bare = copy.deepcopy(template)
    (bare.get("metadata") or {}).get("labels", {}).pop(HASH_LABEL, None)
    return _without_empty(bare)


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _without_empty(inner) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner not in (None, "", {}, [])}
    return [_without_empty(inner) for inner in value] if isinstance(value, list) else value
