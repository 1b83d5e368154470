"""Ports on this machine: those of Services, and free ones for pods."""

import random
import socket
from collections.abc import Collection, Iterable

from aegis_flows.lab.kube.errors import Cause, invalid
from aegis_flows.lab.kube.objects import Object, name, uid
from aegis_flows.lab.kube.resources import SERVICES

HOST = "127.0.0.1"
# Below the kernel's ephemeral range: an outgoing connection cannot take the port before the pod listens on it.
_POD_PORTS = range(20000, 30000)
_NODE_PORTS = range(30000, 32768)


def assign(service: Object, others: Iterable[Object]) -> None:
    """Give the Service its addresses in place, those it had before first; a nodePort of another Service is a 422."""
    known = list(others)
    before = next((item for item in known if uid(item) == uid(service)), None)
    taken = {port for item in known if item is not before for port in of_service(item)}
    service["spec"].setdefault("clusterIP", HOST)
    if not _has_node_ports(service):
        return
    had = of_service(before) if before else []
    for index, port in enumerate(service["spec"]["ports"]):
        if "nodePort" not in port:
            port["nodePort"] = had[index] if index < len(had) else free(_NODE_PORTS, taken)
        if port["nodePort"] in taken:
            message = f"Invalid value: {port['nodePort']}: provided port is already allocated"
            raise invalid(SERVICES, name(service), [Cause(f"spec.ports[{index}].nodePort", message)])
        taken.add(port["nodePort"])


def of_service(service: Object) -> list[int]:
    """The node ports of a Service, in the order of its ports."""
    return [port["nodePort"] for port in service["spec"]["ports"]] if _has_node_ports(service) else []


def _has_node_ports(service: Object) -> bool:
    return service["spec"]["type"] in ("NodePort", "LoadBalancer")


def free_for_pod(taken: Collection[int]) -> int:
    return free(_POD_PORTS, taken)


def free(among: range, taken: Collection[int]) -> int:
    """A port of the range that nobody uses, from a random place so that two labs seldom meet."""
    first = random.randrange(len(among))  # noqa: S311  no secret
    for offset in range(len(among)):
        port = among[(first + offset) % len(among)]
        if port not in taken and can_bind(port, reuse=False):
            return port
    raise OSError(f"no free port from {among.start} to {among.stop - 1}: stop what listens there")


def can_bind(port: int, *, reuse: bool) -> bool:
    """Whether a server could listen there; with `reuse`, as most do, even while old connections linger."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
