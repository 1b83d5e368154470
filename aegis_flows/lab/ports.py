"""Free ports on the loopback: the usual one where it is free, another where it is taken."""

import socket
from contextlib import ExitStack

from aegis_flows.errors import BadInput

USUAL = {
    "prefect": 4200,
    "prometheus": 9090,
    "alertmanager": 9093,
    "gateway": 8080,
    "slack": 8090,
    "pagerduty": 8091,
    "opensearch": 9200,
    "kubernetes": 8001,
    "discovery": 8002,
    "aws": 5000,
    "aegis": 8000,
    "postgres": 5432,
}


def allot(wanted: dict[str, int] | None = None) -> dict[str, int]:
    """A free port for every part. One that was asked for and is taken is an error; a usual one gives way."""
    ports: dict[str, int] = {}
    with ExitStack() as held:
        for name, usual in USUAL.items():
            asked = (wanted or {}).get(name)
            listener = _bind(asked if asked is not None else usual)
            if listener is None and asked is not None:
                raise BadInput(
                    f"Port {asked} for {name} is in use.", advice=f"Free it, or leave out --port {name}={asked}."
                )
            listener = held.enter_context(listener or _bind(0) or socket.socket())
            ports[name] = listener.getsockname()[1]
    return ports


def _bind(port: int) -> socket.socket | None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        return None
    return listener
