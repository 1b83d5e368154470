"""Running stand-ins for the tests, and what is put into them."""

import contextlib
import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config

from aegis_flows.lab.kube.kubeconfig import write_kubeconfig

HOST = "127.0.0.1"
SERVER = Path(__file__).with_name("server.py")
TOKEN = "the token/of the lab"


@dataclass(frozen=True)
class StandIn:
    """A stand-in process and clients that know its token."""

    url: str
    kubeconfig: Path
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def _client(self) -> Any:
        return config.new_client_from_config(str(self.kubeconfig))

    @property
    def core(self) -> Any:
        return client.CoreV1Api(self._client)

    @property
    def apps(self) -> Any:
        return client.AppsV1Api(self._client)

    @property
    def autoscaling(self) -> Any:
        return client.AutoscalingV2Api(self._client)

    def raw(self, path: str) -> str:
        """A whole answer, undecoded; that of a watch comes when it ends."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=10)
        connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    def kubectl(self, *words: str, code: int = 0, stdin: str | None = None) -> str:
        """What kubectl prints, both streams; it must end with the code."""
        command = ["kubectl", "--kubeconfig", str(self.kubeconfig), "--cache-dir", str(self.folder / "cache"), *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=30)
        printed = done.stdout + done.stderr
        assert done.returncode == code, printed
        return printed


@contextlib.contextmanager
def running(folder: Path) -> Iterator[StandIn]:
    """A stand-in of its own, ready to answer, ended with SIGTERM."""
    port = free_port()
    process = started(port, folder)
    try:
        wait_until(lambda: answer(port, "/readyz") == "ok" or process.poll() is not None)
        assert process.poll() is None, (folder / "log").read_text()
        url = f"http://{HOST}:{port}"
        write_kubeconfig(folder / "kubeconfig", url, TOKEN)
        yield StandIn(url, folder / "kubeconfig", folder, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)


def started(port: int, folder: Path) -> subprocess.Popen[bytes]:
    """The process alone; what it prints is in `log` of the folder."""
    (folder / "token").write_text(f"{TOKEN}\n")
    options = ["--port", str(port), "--folder", str(folder), "--token-file", str(folder / "token")]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen([sys.executable, "-m", "aegis_flows.lab.kube", *options], stderr=log)


def answer(port: int, path: str = "/") -> str | None:
    """The body of a successful GET over a connection of its own, else None."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return body if response.status == http.HTTPStatus.OK else None


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def wait_until(condition: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)


def sessions(session: int) -> list[int]:
    """The processes of a session that still run."""
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _session(entry) == session]


def _session(process: Path) -> int | None:
    """None for a process that has ended, waited for or not."""
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[3])  # state and session of proc(5)


def pod_pid(pod: Any) -> int:
    return int(pod.status.container_statuses[0].container_id.removeprefix("process://"))


def pod_spec(*command: str, **more: Any) -> dict[str, Any]:
    """A pod that runs the test server, or another command."""
    container = {
        "name": "web",
        "image": "lab/web",
        "command": list(command) or ["python", "-S", str(SERVER)],
        "env": [{"name": "GREETING", "value": "hello"}, {"name": "OTHER", "value": "kept"}],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}},
    }
    return {"containers": [container | more], "terminationGracePeriodSeconds": 2}


def deployment(spec: dict[str, Any] | None = None, /, **more: Any) -> dict[str, Any]:
    """A Deployment `web` of two pods."""
    template = {"metadata": {"labels": {"app": "web"}}, "spec": spec or pod_spec()}
    selector = {"matchLabels": {"app": "web"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": selector, "template": template} | more,
    }


def service(node_port: int) -> dict[str, Any]:
    ports = [{"port": 80, "nodePort": node_port}]
    return {"metadata": {"name": "web"}, "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": ports}}


def env_patch(**values: str) -> dict[str, Any]:
    """A strategic merge patch of the container's environment."""
    variables = [{"name": name, "value": value} for name, value in values.items()]
    return {"spec": {"template": {"spec": {"containers": [{"name": "web", "env": variables}]}}}}


def rolled_out(apps: Any, space: str, pods: int = 2) -> bool:
    """Whether the Deployment `web` has so many pods, all new and ready, as `kubectl rollout status` asks."""
    found = apps.read_namespaced_deployment("web", space)
    status = found.status
    counts = (status.replicas or 0, status.updated_replicas or 0, status.available_replicas or 0)
    return bool(status.observed_generation == found.metadata.generation and counts == (pods, pods, pods))
