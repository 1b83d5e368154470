"""What kube-apiserver refuses, in its words, as far as the stand-in acts on the field.

A value of the wrong JSON type is a 400 (the real server cannot decode it), a value that makes no sense a 422.
"""

import re
from collections.abc import Callable, Iterator

from aegis_flows.lab.kube.errors import Cause, invalid
from aegis_flows.lab.kube.objects import Object, labels, name
from aegis_flows.lab.kube.resources import Resource
from aegis_flows.lab.kube.state import pod_templates, selectors
from aegis_flows.lab.kube.state.pod_templates import at_least, required, text_values, whole

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_NAME_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)
_IMMUTABLE = "field is immutable"
_PORTS = range(1, 65536)

Check = Callable[[Object, Object | None], Iterator[Cause]]


def check(resource: Resource, item: Object, before: Object | None) -> None:
    """Refuse an object that a real server would refuse; `before` is what it replaces."""
    causes = list(_metadata(item))
    check_kind = _CHECKS.get(resource.plural)
    if check_kind:
        causes += check_kind(item, before)
    if causes:
        raise invalid(resource, name(item), causes)


def _metadata(item: Object) -> Iterator[Cause]:
    if not name(item):
        yield required("metadata.name", "name or generateName is required")
    elif not _NAME.fullmatch(name(item)):
        yield Cause("metadata.name", f'Invalid value: "{name(item)}": {_NAME_RULE}')
    for field in ("labels", "annotations"):
        text_values(f"metadata.{field}", item["metadata"].get(field))


def _workload(item: Object, before: Object | None) -> Iterator[Cause]:
    """A Deployment or a ReplicaSet."""
    spec = item["spec"]
    yield from at_least("spec.replicas", whole("spec.replicas", spec["replicas"]), 0)
    selector, template = spec.get("selector") or {}, spec["template"]
    marks = labels({"metadata": template.get("metadata") or {}})
    if not selector:
        yield required("spec.selector")
    elif not selectors.holds(selectors.of_object(selector), marks):
        yield Cause(
            "spec.template.metadata.labels", f"Invalid value: {marks}: `selector` does not match template `labels`"
        )
    if before is not None and before["spec"]["selector"] != selector:
        yield Cause("spec.selector", f"Invalid value: {selector}: {_IMMUTABLE}")
    yield from pod_templates.check("spec.template.spec", template["spec"])


def _deployment(item: Object, before: Object | None) -> Iterator[Cause]:
    yield from _workload(item, before)
    strategy = item["spec"]["strategy"]
    if strategy["type"] not in ("RollingUpdate", "Recreate"):
        message = f'Unsupported value: "{strategy["type"]}": supported values: "Recreate", "RollingUpdate"'
        yield Cause("spec.strategy.type", message, "FieldValueNotSupported")
    if strategy["type"] == "Recreate" and strategy.get("rollingUpdate"):
        message = "Forbidden: may not be specified when strategy `type` is 'Recreate'"
        yield Cause("spec.strategy.rollingUpdate", message, "FieldValueForbidden")
    for field, value in (strategy.get("rollingUpdate") or {}).items():
        if not re.fullmatch(r"\d+%?", str(value)):
            yield Cause(f"spec.strategy.rollingUpdate.{field}", f"Invalid value: {value!r}: a number or a percentage")


def _pod(item: Object, before: Object | None) -> Iterator[Cause]:
    if before is not None and before["spec"] != item["spec"]:
        yield Cause("spec", "Forbidden: the lab allows no change of a pod's spec", "FieldValueForbidden")
    yield from pod_templates.check("spec", item["spec"])


def _service(item: Object, _before: Object | None) -> Iterator[Cause]:
    ports = item["spec"].get("ports") or []
    if not ports:
        yield required("spec.ports")
    for index, port in enumerate(ports):
        for field in ("port", "nodePort"):
            value = port.get(field, 1 if field == "nodePort" else None)
            path = f"spec.ports[{index}].{field}"
            if value is None:
                yield required(path)
            elif whole(path, value) not in _PORTS:
                yield Cause(path, f"Invalid value: {value}: must be between 1 and 65535, inclusive")


def _autoscaler(item: Object, _before: Object | None) -> Iterator[Cause]:
    spec = item["spec"]
    smallest = whole("spec.minReplicas", spec["minReplicas"])
    largest = whole("spec.maxReplicas", spec.get("maxReplicas", 0))
    yield from at_least("spec.minReplicas", smallest, 1)
    yield from at_least("spec.maxReplicas", largest, 1)
    if largest < smallest:
        message = f"Invalid value: {largest}: must be greater than or equal to `minReplicas`"
        yield Cause("spec.maxReplicas", message)
    for field in ("kind", "name"):
        if not (spec.get("scaleTargetRef") or {}).get(field):
            yield required(f"spec.scaleTargetRef.{field}")


def _text_data(item: Object, _before: Object | None) -> Iterator[Cause]:
    text_values("data", item.get("data"))
    yield from ()


_CHECKS: dict[str, Check] = {
    "deployments": _deployment,
    "replicasets": _workload,
    "pods": _pod,
    "services": _service,
    "horizontalpodautoscalers": _autoscaler,
    "configmaps": _text_data,
    "secrets": _text_data,
}
