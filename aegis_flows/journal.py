"""Open faults, written where a person can read them without us: a ConfigMap in the staging namespace.

kubectl -n aegis-staging get configmap aegis-gameday-journal -o yaml
"""

import json
from http import HTTPStatus
from typing import Any

from aegis_flows.clients import Clients
from aegis_flows.errors import Conflict, Refused
from aegis_flows.operation import command, compact

NAME = "aegis-gameday-journal"
TRIES = 5


def read(c: Clients) -> dict[str, dict[str, Any]]:
    """Every open fault, by its id."""
    data, _ = _map(c)
    return {key: json.loads(text) for key, text in data.items()}


def add(c: Clients, key: str, entry: dict[str, Any]) -> None:
    """Write an entry down; it is durable when this returns. Refused while another is open: one drill at a time."""
    _change(c, key, json.dumps(entry, indent=2, sort_keys=True))


def remove(c: Clients, key: str) -> None:
    _change(c, key, None)


def _change(c: Clients, key: str, text: str | None) -> None:
    """With the resourceVersion that was looked at, so that of two drills at once one is refused."""
    from kubernetes.client import ApiException

    for _ in range(TRIES):
        data, version = _map(c)
        if text is not None and data:
            raise Refused(f"Another drill's fault is open: {', '.join(data)}.", advice=f"See configmap {NAME}.")
        try:
            _write(c, {key: text}, version)
        except ApiException as error:
            if error.status != HTTPStatus.CONFLICT:  # somebody wrote in between, so look again
                raise
        else:
            return
    raise Conflict(f"The journal {NAME} was changed by others {TRIES} times in a row.", advice="Run it again.")


def _write(c: Clients, data: dict[str, str | None], version: str | None) -> None:
    namespace = c.settings.namespace
    where = ("kubectl", "-n", namespace)
    if version is None:
        literals = [f"--from-literal={k}={v}" for k, v in data.items()]
        print(f"write $ {command(*where, 'create', 'configmap', NAME, *literals)}")
        c.core.create_namespaced_config_map(namespace, {"metadata": {"name": NAME}, "data": data})
        return
    patch = {"metadata": {"resourceVersion": version}, "data": data}
    print(f"write $ {command(*where, 'patch', 'configmap', NAME, '--type=merge', '-p', compact(patch))}")
    c.core.patch_namespaced_config_map(NAME, namespace, patch, _content_type="application/merge-patch+json")


def _map(c: Clients) -> tuple[dict[str, str], str | None]:
    from kubernetes.client import ApiException

    try:
        found = c.core.read_namespaced_config_map(NAME, c.settings.namespace)
    except ApiException as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return {}, None
        raise
    return found.data or {}, found.metadata.resource_version
