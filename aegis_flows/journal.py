"""Open faults, written where a person can read them without us: a ConfigMap in the staging namespace.

kubectl -n aegis-staging get configmap aegis-gameday-journal -o yaml
"""

import json
from typing import Any

from aegis_flows.clients import Clients
from aegis_flows.errors import Conflict

NAME = "aegis-gameday-journal"
TRIES = 5


def read(c: Clients) -> dict[str, dict[str, Any]]:
    """Every open fault, by its id."""
    return {key: json.loads(text) for key, text in (_map(c).get("data") or {}).items()}


def add(c: Clients, key: str, entry: dict[str, Any]) -> None:
    """Write an entry down; it is durable when this returns."""
    _change(c, {key: json.dumps(entry, indent=2, sort_keys=True)})


def remove(c: Clients, key: str) -> None:
    _change(c, {key: None})


def _change(c: Clients, change: dict[str, str | None]) -> None:
    from kubernetes.client import ApiException

    for _ in range(TRIES):
        current = _map(c)
        data = (current.get("data") or {}) | change
        body = {
            "metadata": {"name": NAME, "resourceVersion": current.get("resourceVersion")},
            "data": {k: v for k, v in data.items() if v is not None},
        }
        try:
            if current:
                c.core.replace_namespaced_config_map(NAME, c.settings.namespace, body)
            else:
                c.core.create_namespaced_config_map(
                    c.settings.namespace, {"metadata": {"name": NAME}} | {"data": body["data"]}
                )
        except ApiException as error:
            if error.status != 409:  # noqa: PLR2004  # Conflict: somebody wrote in between, so look again
                raise
        else:
            return
    raise Conflict(f"The journal {NAME} was changed by others {TRIES} times in a row.", advice="Run it again.")


def _map(c: Clients) -> dict[str, Any]:
    from kubernetes.client import ApiException

    try:
        found = c.core.read_namespaced_config_map(NAME, c.settings.namespace)
    except ApiException as error:
        if error.status == 404:  # noqa: PLR2004
            return {}
        raise
    return {"data": found.data, "resourceVersion": found.metadata.resource_version}
