"""What is refused inside a pod's spec, and the checks of single fields."""

from collections.abc import Iterator

from aegis_flows.lab.kube.errors import Cause, bad_request
from aegis_flows.lab.kube.objects import Object

_POLICIES = ("Always", "OnFailure", "Never")


def check(path: str, spec: Object) -> Iterator[Cause]:
    """The faults of a pod's spec; more than one container is the lab's own limit, since each needs the pod's port."""
    containers = spec.get("containers") or []
    if not containers:
        yield required(f"{path}.containers")
    if len(containers) > 1 or spec.get("initContainers"):
        yield Cause(f"{path}.containers", "Forbidden: the lab runs one container in a pod", "FieldValueForbidden")
    if spec["restartPolicy"] not in _POLICIES:
        yield Cause(f"{path}.restartPolicy", f'Unsupported value: "{spec["restartPolicy"]}"', "FieldValueNotSupported")
    grace = f"{path}.terminationGracePeriodSeconds"
    yield from at_least(grace, whole(grace, spec["terminationGracePeriodSeconds"]), 0)
    for index, container in enumerate(containers):
        yield from _container(f"{path}.containers[{index}]", container)


def _container(path: str, container: Object) -> Iterator[Cause]:
    for field in ("name", "image"):
        if not container.get(field):
            yield required(f"{path}.{field}")
    if container.get("readinessProbe") and not container["readinessProbe"].get("httpGet"):
        yield Cause(f"{path}.readinessProbe", "Forbidden: the lab probes by httpGet alone", "FieldValueForbidden")
    for index, variable in enumerate(container.get("env") or []):
        yield from _variable(f"{path}.env[{index}]", variable)


def _variable(path: str, variable: Object) -> Iterator[Cause]:
    if not variable.get("name"):
        yield required(f"{path}.name")
    text_values(path, {"value": variable.get("value", "")})
    if variable.get("value") and variable.get("valueFrom"):
        yield Cause(f"{path}.valueFrom", 'Invalid value: "": may not be specified when `value` is not empty')


def required(path: str, detail: str = "") -> Cause:
    return Cause(path, f"Required value: {detail}" if detail else "Required value", "FieldValueRequired")


def at_least(path: str, value: int, least: int) -> Iterator[Cause]:
    if value < least:
        yield Cause(path, f"Invalid value: {value}: must be greater than or equal to {least}")


def whole(path: str, value: object) -> int:
    """The value if it is a whole number, else a 400."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise bad_request(f"cannot unmarshal {_type(value)} into field {path} of type int32")
    return value


def text_values(path: str, mapping: Object | None) -> None:
    """A 400 names the first value of the mapping that is not text, such as an env value of true without quotes."""
    for key, value in (mapping or {}).items():
        if not isinstance(value, str):
            raise bad_request(f"cannot unmarshal {_type(value)} into field {path}.{key} of type string")


def _type(value: object) -> str:
    names = {bool: "bool", int: "number", float: "number", dict: "object", list: "array", type(None): "null"}
    return names.get(type(value), "string")
