"""Free ports on the loopback: the usual one where it is free, another where it is taken."""

import errno
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain

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
OTHERS = 10_000
"""Added to a usual port that is taken; from there upwards."""
EPHEMERAL = 32_768
"""From here on the kernel gives ports to outgoing connections, perhaps before the part that was to listen there."""


def allot(wanted: Mapping[str, int] | None = None) -> dict[str, int]:
    """As `held`, for what starts at once and is alone."""
    with held(wanted) as ports:
        return ports


@contextmanager
def held(wanted: Mapping[str, int] | None = None) -> Iterator[dict[str, int]]:
    """A free port for every part, given to no other lab within the block, although nobody may listen there yet.

    One that was asked for and is taken is an error; a usual one gives way.
    """
    asked = wanted or {}
    with ExitStack() as reserved:
        ports = {name: _asked(name, port, reserved) for name, port in asked.items()}
        ports |= {name: _free(usual, reserved) for name, usual in USUAL.items() if name not in asked}
        yield {name: ports[name] for name in USUAL}


def _asked(name: str, port: int, reserved: ExitStack) -> int:
    try:
        reserved.enter_context(_reserve(port))
    except OSError as error:
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
        raise BadInput(
            f"Port {port} for {name} {why}.", advice=f"Free it, or leave out --port {name}={port}."
        ) from None
    return port


def _free(usual: int, reserved: ExitStack) -> int:
    for port in chain([usual], range(usual + OTHERS, EPHEMERAL)):
        with suppress(OSError):
            reserved.enter_context(_reserve(port))
            return port
    raise BadInput(f"No port is free between {usual + OTHERS} and {EPHEMERAL}.", advice="Stop other labs.")


def _reserve(port: int) -> socket.socket:
    """OSError when somebody listens there or another lab has it. The kernel frees the name with its process."""
    reservation = socket.socket(socket.AF_UNIX)
    try:
        reservation.bind(f"\0aegis-flows/port/{port}")
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            probe.listen()
    except OSError:
        reservation.close()
        raise
    return reservation
