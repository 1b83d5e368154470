"""The node ports of Services: a TCP proxy on this machine to the ready pods, in turn."""

import asyncio
import contextlib
import itertools
import logging
import socket

from aegis_flows.lab.kube.network import ports, relay
from aegis_flows.lab.kube.network.ports import HOST
from aegis_flows.lab.kube.objects import PORT_ANNOTATION, Object, annotations, deleting, labels, name, namespace, ready
from aegis_flows.lab.kube.state import events
from aegis_flows.lab.kube.state.registry import Registry

_BACKLOG = 128

log = logging.getLogger(__name__)


class ServiceProxy:
    """Opens, closes and moves the node ports as Services and pods change."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._ports: dict[int, NodePort] = {}
        self._refused: dict[int, str] = {}

    def reconcile(self) -> None:
        services = self._registry.store.all("services")
        wanted = {port: service for service in services for port in ports.of_service(service)}
        for port in self._ports.keys() - wanted.keys():
            self._ports.pop(port).close()
        for port, service in wanted.items():
            if self._refused.get(port) != service["metadata"]["resourceVersion"]:
                self._serve(port, service)

    def close(self) -> None:
        while self._ports:
            self._ports.popitem()[1].close()

    def _serve(self, port: int, service: Object) -> None:
        """A port that is in use is tried again when its Service changes."""
        try:
            self._ports[port] = self._ports.get(port) or NodePort(port)
            self._ports[port].serve(self._ready_ports(service))
        except OSError as error:
            self._refused[port] = service["metadata"]["resourceVersion"]
            said = (
                f"cannot listen on {HOST}:{port} ({error.strerror}): stop what listens there or choose another nodePort"
            )
            log.error("service %s: %s", name(service), said)  # noqa: TRY400  the sentence says it all
            events.record(self._registry, service, "PortInUse", said, events.WARNING)

    def _ready_ports(self, service: Object) -> list[int]:
        selector = (service["spec"].get("selector") or {}).items()
        pods = self._registry.store.all("pods", namespace(service))
        fit = [pod for pod in pods if selector and selector <= labels(pod).items() and ready(pod) and not deleting(pod)]
        return [int(annotations(pod)[PORT_ANNOTATION]) for pod in fit]


class NodePort:
    """One port. It stays reserved while closed; it listens only while a pod is ready, so that else it refuses."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._turn = itertools.count()
        self._pods: list[int] = []
        self._reserved = _bound(port)
        self._listener: socket.socket | None = None
        self._connections: set[asyncio.Task[None]] = set()
        try:
            self._listen()  # only listening shows that nobody else listens
        except OSError:
            self._reserved.close()
            raise

    def serve(self, pods: list[int]) -> None:
        """Send new connections to these ports from now on."""
        self._pods = pods
        if pods and self._listener is None:
            self._listen()
        elif not pods:
            self._refuse()

    def close(self) -> None:
        self._refuse()
        self._reserved.close()
        for connection in self._connections:
            connection.cancel()

    def _listen(self) -> None:
        listener = _bound(self._port)
        try:
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _refuse(self) -> None:
        if self._listener:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            client, _ = listener.accept()
            client.setblocking(False)
            connection = asyncio.create_task(relay.connect(client, self._connect))
            self._connections.add(connection)
            connection.add_done_callback(self._connections.discard)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the next pod, or to one after it if that has just gone."""
        first, pods = next(self._turn), self._pods
        for offset in range(len(pods)):
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(HOST, pods[(first + offset) % len(pods)])
        raise ConnectionRefusedError(f"no pod answers behind {HOST}:{self._port}")


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setblocking(False)
    try:
        sock.bind((HOST, port))
    except OSError:
        sock.close()
        raise
    return sock
