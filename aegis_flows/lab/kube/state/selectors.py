"""Label and field selectors: parsed once, then asked object by object."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aegis_flows.lab.kube.errors import bad_request
from aegis_flows.lab.kube.objects import Object, labels
from aegis_flows.lab.kube.resources import Resource

Matches = Callable[[Object], bool]

_KEY = r"[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?"
_SET = re.compile(rf"(?P<key>{_KEY})\s+(?P<operator>in|notin)\s+\((?P<values>[^()]*)\)")
_EQUAL = re.compile(rf"(?P<key>{_KEY})\s*(?P<operator>==|=|!=)\s*(?P<values>[-A-Za-z0-9_.]*)")
_EXISTS = re.compile(rf"(?P<operator>!?)\s*(?P<key>{_KEY})")
_OPERATORS = {"": "Exists", "!": "DoesNotExist", "=": "In", "==": "In", "in": "In", "!=": "NotIn", "notin": "NotIn"}
_SYMBOLS = {"In": ("=", "in"), "NotIn": ("!=", "notin")}

_FIELDS = {
    "pods": ("spec.nodeName", "spec.restartPolicy", "status.phase", "status.podIP"),
    "namespaces": ("status.phase",),
    "secrets": ("type",),
    "replicasets": ("status.replicas",),
    "events": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "source",
        "type",
    ),
}


@dataclass(frozen=True)
class Requirement:
    """One condition on a label; the operators are those of `matchExpressions`."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def holds(self, marks: Mapping[str, str]) -> bool:
        match self.operator:
            case "In":
                return marks.get(self.key) in self.values
            case "NotIn":  # a label that is missing counts as different
                return marks.get(self.key) not in self.values
            case "Exists":
                return self.key in marks
        return self.key not in marks

    def text(self) -> str:
        match self.operator:
            case "Exists":
                return self.key
            case "DoesNotExist":
                return f"!{self.key}"
        one, several = _SYMBOLS[self.operator]
        if len(self.values) == 1:
            return f"{self.key}{one}{next(iter(self.values))}"
        return f"{self.key} {several} ({','.join(sorted(self.values))})"


def requirements(text: str) -> tuple[Requirement, ...]:
    """The requirements of a labelSelector parameter; a 400 names what could not be read."""
    return tuple(_requirement(part.strip()) for part in re.split(r",(?![^()]*\))", text) if part.strip())


def _requirement(text: str) -> Requirement:
    for pattern in (_SET, _EQUAL, _EXISTS):
        found = pattern.fullmatch(text)
        if found:
            values = found.groupdict().get("values")
            split = frozenset(value.strip() for value in values.split(",")) if values is not None else frozenset()
            return Requirement(found["key"], _OPERATORS[found["operator"]], split)
    raise bad_request(f"unable to parse requirement: {text!r}")


def of_object(selector: Object) -> tuple[Requirement, ...]:
    """The requirements of a LabelSelector object (`matchLabels`, `matchExpressions`)."""
    equal = [Requirement(key, "In", frozenset([value])) for key, value in (selector.get("matchLabels") or {}).items()]
    expressions = [
        Requirement(one["key"], one["operator"], frozenset(one.get("values") or []))
        for one in selector.get("matchExpressions") or []
    ]
    return (*equal, *expressions)


def holds(wanted: tuple[Requirement, ...], marks: Mapping[str, str]) -> bool:
    return all(requirement.holds(marks) for requirement in wanted)


def matcher(resource: Resource, label_selector: str, field_selector: str) -> Matches:
    """Whether an object fits both selectors; a field that cannot be selected by is a 400."""
    wanted = requirements(label_selector)
    fields = [_field(resource, part) for part in field_selector.split(",") if part]

    def matches(item: Object) -> bool:
        return holds(wanted, labels(item)) and all((_at(item, path) == value) is equal for path, value, equal in fields)

    return matches


def _field(resource: Resource, text: str) -> tuple[str, str, bool]:
    found = re.fullmatch(r"([A-Za-z.]+)(!=|==|=)(.*)", text)
    if not found:
        raise bad_request(f"invalid field selector: {text!r}")
    path, operator, value = found.groups()
    if path not in ("metadata.name", "metadata.namespace", *_FIELDS.get(resource.plural, ())):
        raise bad_request(f"field label not supported: {path}")
    return path, value, operator != "!="


def _at(item: Object, path: str) -> str:
    value: object = item
    for part in path.split("."):
        value = value.get(part, "") if isinstance(value, dict) else ""
    return str(value)
