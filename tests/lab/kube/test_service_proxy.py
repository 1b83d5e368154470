"""Node ports: real TCP from this machine to ready pods."""

import contextlib
import socket
import threading
from typing import Any

import pytest
from kubernetes.client import ApiException

from tests.lab.kube import standin
from tests.lab.kube.standin import HOST, StandIn, answer, wait_until


def refused(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((HOST, port)) != 0


def test_requests_go_to_the_ready_pods_in_turn(cluster: StandIn, space: str) -> None:
    """Two pods answer alternately; without a ready pod the connection is refused, and the port stays the lab's."""
    port = standin.free_port()
    cluster.core.create_namespaced_service(space, standin.service(port))
    cluster.apps.create_namespaced_deployment(space, standin.deployment())
    wait_until(lambda: standin.rolled_out(cluster.apps, space))
    names = [(answer(port) or "").split()[0] for _ in range(6)]
    assert names[0] != names[1]
    assert names == names[:2] * 3
    cluster.apps.patch_namespaced_deployment_scale("web", space, {"spec": {"replicas": 0}})
    wait_until(lambda: refused(port))
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((HOST, port))


def test_large_bodies_pass_whole_and_a_half_closed_client_is_answered(cluster: StandIn, space: str) -> None:
    """A client may end its side and still gets the whole answer."""
    port = standin.free_port()
    echo = (
        "import os, socketserver\n"
        "class Echo(socketserver.StreamRequestHandler):\n"
        "    def handle(self): self.wfile.write(self.rfile.read())\n"
        "socketserver.ThreadingTCPServer(('127.0.0.1', int(os.environ['PORT'])), Echo).serve_forever()"
    )
    spec = standin.pod_spec("python", "-c", echo, readinessProbe=None)
    cluster.core.create_namespaced_service(space, standin.service(port))
    cluster.apps.create_namespaced_deployment(space, standin.deployment(spec, replicas=1))
    wait_until(lambda: not refused(port))
    sent = bytes(range(256)) * 8192
    wait_until(lambda: echoed(port, b"listening?") == b"listening?")
    assert echoed(port, sent) == sent


def echoed(port: int, sent: bytes) -> bytes:
    try:
        with socket.create_connection((HOST, port)) as client:
            writer = threading.Thread(target=_say, args=(client, sent))
            writer.start()
            got = b"".join(iter(lambda: client.recv(65536), b""))
            writer.join()
            return got
    except OSError:
        return b""


def _say(client: socket.socket, sent: bytes) -> None:
    with contextlib.suppress(OSError):  # the pod may not listen yet: then the connection is reset
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)


def test_a_port_in_use_is_said_in_an_event_and_in_the_log(cluster: StandIn, space: str) -> None:
    """The sentence names the port and what to do; when the Service changes, the port is tried again."""
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        cluster.core.create_namespaced_service(space, standin.service(port))
        wait_until(lambda: service_events(cluster, space))
        [event] = service_events(cluster, space)
        assert (event.type, event.reason) == ("Warning", "PortInUse")
        assert f"cannot listen on {HOST}:{port}" in event.message
        assert event.message in (cluster.folder / "log").read_text()
    cluster.apps.create_namespaced_deployment(space, standin.deployment(replicas=1))
    cluster.core.patch_namespaced_service("web", space, {"metadata": {"labels": {"again": "1"}}})
    wait_until(lambda: answer(port))


def service_events(cluster: StandIn, space: str) -> list[Any]:
    found: list[Any] = cluster.core.list_namespaced_event(space, field_selector="involvedObject.kind=Service").items
    return found


def test_a_node_port_belongs_to_one_service(cluster: StandIn, space: str) -> None:
    """A second Service with the same nodePort is a 422; one without a number is given a free one."""
    port = standin.free_port()
    cluster.core.create_namespaced_service(space, standin.service(port))
    second = standin.service(port) | {"metadata": {"name": "second"}}
    with pytest.raises(ApiException, match="provided port is already allocated") as raised:
        cluster.core.create_namespaced_service(space, second)
    assert raised.value.status == 422
    del second["spec"]["ports"][0]["nodePort"]
    assert 30000 <= cluster.core.create_namespaced_service(space, second).spec.ports[0].node_port < 32768
