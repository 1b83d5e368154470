"""What is printed is what is done: the printed line, run in a shell, makes the same request as the operation."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest
from prefect import Task

from aegis_flows.clients import Clients, using
from aegis_flows.lab.kube.kubeconfig import write_kubeconfig
from aegis_flows.operation import Operation, Performed
from aegis_flows.settings import Settings
from tasks import alertmanager, kube, pagerduty, prometheus, service, slack

Request = tuple[str, str, dict[str, list[str]], Any]
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "aegis", "namespace": "staging"},
    "spec": {"selector": {}, "template": {"spec": {"containers": [{"name": "aegis", "env": []}]}}},
}
DISCOVERY = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {
        "kind": "APIGroupList",
        "groups": [{"name": "apps", "versions": [{"groupVersion": "apps/v1", "version": "v1"}]}],
    },
    "/apis/apps/v1": {
        "kind": "APIResourceList",
        "groupVersion": "apps/v1",
        "resources": [{"name": "deployments", "singularName": "deployment", "namespaced": True, "kind": "Deployment"}],
    },
}


@dataclass
class Recorder:
    """Remembers each request and answers so that every client goes on."""

    requests: list[Request] = field(default_factory=list)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            def _any(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                raw = self.rfile.read(length).decode()
                at = urlsplit(self.path)
                sent = json.loads(raw) if raw.startswith("{") else parse_qs(raw)
                requests.append((self.command, at.path, parse_qs(at.query), sent))
                body = json.dumps(_answer(at.path)).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = _any  # noqa: N815  # the names that http.server asks for

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        return Handler


def _answer(path: str) -> Any:
    if path in DISCOVERY:
        return DISCOVERY[path]
    if path.endswith("/deployments/aegis"):
        return DEPLOYMENT
    if path.endswith("api/v1/query"):
        return {"status": "success", "data": {"result": []}}
    if path.endswith("alerts"):
        return []
    return {"ok": True, "ts": "1.0", "incidents": [], "log_entries": [], "status": "ok"}


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    one = Recorder()
    server = ThreadingHTTPServer(("127.0.0.1", 0), one.handler())
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    write_kubeconfig(tmp_path / "kubeconfig", url.rstrip("/"), None)
    env = {"KUBECONFIG": str(tmp_path / "kubeconfig"), "HOME": str(tmp_path), "AEGIS_ENVIRONMENT": "staging"}
    env |= {f"AEGIS_{name}_URL": url for name in ("SERVICE", "PROMETHEUS", "ALERTMANAGER", "PAGERDUTY", "SLACK")}
    env |= {"AEGIS_PAGERDUTY_TOKEN": "t'k", "AEGIS_PAGERDUTY_FROM": "a@example.com", "AEGIS_SLACK_TOKEN": "xoxb"}
    env |= {"AEGIS_AUDIT_ROLE_ARN": "arn:aws:iam::1:role/r", "AEGIS_AUDIT_BUFFER": str(tmp_path)}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with using(Clients(Settings())):
        yield one
    server.shutdown()
    server.server_close()


def described(task: Task[..., Any], *arguments: Any) -> Operation[Any]:
    return cast("Performed[..., Any]", task.fn).describe(*arguments)


def both(recorder: Recorder, operation: Operation[Any]) -> tuple[list[Request], list[Request]]:
    """What the operation sent, and what its printed line sends."""
    from aegis_flows.clients import clients

    operation.run(clients())
    done = list(recorder.requests)
    recorder.requests.clear()
    subprocess.run(["bash", "-c", operation.shell], env=os.environ, check=True, capture_output=True)
    return done, list(recorder.requests)


HOSTILE = 'it\'s $HOME; `id` "quoted" é'
SINCE = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    "describe",
    [
        lambda: described(pagerduty.acknowledge, "Q1"),
        lambda: described(pagerduty.note, "Q1", HOSTILE),
        lambda: described(pagerduty.incident, "abc"),
        lambda: described(pagerduty.open_incidents),
        lambda: described(pagerduty.first_acknowledgement, "Q1"),
        lambda: described(prometheus.value, 'sum(rate(x{a="b"}[5m]))'),
        lambda: described(alertmanager.firing),
        lambda: described(service.health),
    ],
)
def test_curl_line_makes_the_same_request(recorder: Recorder, describe: Callable[[], Operation[Any]]) -> None:
    """Same verb, path, query and body; hostile text stays one value."""
    done, typed = both(recorder, describe())
    assert done == typed
    assert done


def test_slack_line_posts_the_same_message(recorder: Recorder) -> None:
    """slack_sdk may send fields that a person leaves out; channel and text are the same."""
    done, typed = both(recorder, described(slack.post, "#aegis-alerts", HOSTILE))
    [(verb, path, _, sent)], [(typed_verb, typed_path, _, typed_sent)] = done, typed
    assert (verb, path) == (typed_verb, typed_path) == ("POST", "/chat.postMessage")
    flat = {k: v[0] if isinstance(v, list) else v for k, v in sent.items()}
    assert (flat["channel"], flat["text"]) == (typed_sent["channel"], typed_sent["text"])


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed here")
@pytest.mark.parametrize("value", ["aegis-audit-staging", HOSTILE, None])
def test_kubectl_line_sends_the_same_patch(recorder: Recorder, value: str | None) -> None:
    """Kubectl looks at the object first; its write is ours."""
    done, typed = both(recorder, described(kube.set_env, "staging", "aegis", "AUDIT_S3_BUCKET", value))
    [(_, path, _, patch)] = [r for r in done if r[0] == "PATCH"]
    [(_, typed_path, _, typed_patch)] = [r for r in typed if r[0] == "PATCH"]
    assert (path, patch) == (typed_path, typed_patch)


def test_no_secret_is_printed(recorder: Recorder) -> None:
    """Tokens stand as $NAME in every line."""
    lines = [
        described(pagerduty.acknowledge, "Q1").shell,
        described(slack.post, "#c", "text").shell,
        described(slack.messages, "#c", "text", SINCE).shell,
    ]
    assert not [line for line in lines if "xoxb" in line or "t'k" in line]
    assert recorder.requests == []
