"""What a container finds in its environment."""

import base64
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping

from aegis_flows.lab.kube.objects import Object, annotations, labels, name, namespace, uid

Find = Callable[[str, str, str], Object | None]

_PASSED_ON = re.compile(r"PATH|HOME|LANG|LC_\w+|TZ|TMPDIR|VIRTUAL_ENV|PYTHON\w*")
_SOURCES = {
    "configMapKeyRef": "configmaps",
    "secretKeyRef": "secrets",
    "configMapRef": "configmaps",
    "secretRef": "secrets",
}


class ConfigurationError(Exception):
    """A container's environment names something that is not there."""


def command(container: Object) -> list[str]:
    """The container's command and arguments; `python` is the interpreter that runs the lab."""
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    if not words:
        raise ConfigurationError("the container has no command, and the lab has no images to take one from")
    return [sys.executable if words[0] == "python" else words[0], *words[1:]]


def variables(pod: Object, port: int, find: Find) -> dict[str, str]:
    """The lab's own basics, then what the pod asks for, then what the kubelet alone knows.

    Raises ConfigurationError for a ConfigMap, Secret, key or field that does not exist.
    """
    container = pod["spec"]["containers"][0]
    basics = {key: value for key, value in os.environ.items() if _PASSED_ON.fullmatch(key)}
    asked: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        asked |= _all_of(pod, source, find)
    asked |= dict(_each(pod, container.get("env") or [], find))
    given = {"PORT": str(port), "POD_NAME": name(pod), "POD_NAMESPACE": namespace(pod)}
    return {"PYTHONUNBUFFERED": "1"} | basics | asked | given


def _each(pod: Object, listed: list[Object], find: Find) -> Iterator[tuple[str, str]]:
    for variable in listed:
        source = variable.get("valueFrom")
        value = _from(pod, source, find) if source else variable.get("value", "")
        if value is not None:
            yield variable["name"], value


def _from(pod: Object, source: Object, find: Find) -> str | None:
    """One value from elsewhere; None where it is optional and not there."""
    [(kind, reference)] = source.items()
    if kind == "fieldRef":
        return _field(pod, reference["fieldPath"])
    values = _data(pod, kind, reference, find)
    if reference["key"] in values:
        return values[reference["key"]]
    if reference.get("optional"):
        return None
    raise ConfigurationError(f"couldn't find key {reference['key']} in {_SOURCES[kind]} {reference['name']}")


def _all_of(pod: Object, source: Object, find: Find) -> dict[str, str]:
    prefix = source.get("prefix", "")
    kind = next(key for key in source if key in _SOURCES)
    return {f"{prefix}{key}": value for key, value in _data(pod, kind, source[kind], find).items()}


def _data(pod: Object, kind: str, reference: Object, find: Find) -> Mapping[str, str]:
    if kind not in _SOURCES:
        raise ConfigurationError(f"the lab cannot take a value from {kind}")
    item = find(_SOURCES[kind], namespace(pod), reference["name"])
    if item is None:
        if reference.get("optional"):
            return {}
        raise ConfigurationError(f'{_SOURCES[kind]} "{reference["name"]}" not found')
    data: dict[str, str] = item.get("data") or {}
    if _SOURCES[kind] == "secrets":
        return {key: base64.b64decode(value).decode() for key, value in data.items()}
    return data


def _field(pod: Object, path: str) -> str:
    fixed: dict[str, str] = {
        "metadata.name": name(pod),
        "metadata.namespace": namespace(pod),
        "metadata.uid": uid(pod),
        "spec.nodeName": pod["spec"]["nodeName"],
        "status.podIP": "127.0.0.1",
        "status.hostIP": "127.0.0.1",
    }
    found = re.fullmatch(r"metadata\.(labels|annotations)\['([^']+)'\]", path)
    if found:
        return (labels(pod) if found[1] == "labels" else annotations(pod)).get(found[2], "")
    if path not in fixed:
        raise ConfigurationError(f"the lab cannot take a value from the field {path}")
    return fixed[path]
