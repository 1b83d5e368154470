import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from aegis_flows.domain import Incident
from aegis_flows.gateway import app
from tests.gateway.conftest import Deploy, Gateways, playbook
from tests.gateway.webhooks import alert, recorded, webhook

AUDIT, MODEL = "AegisAuditWriteFailures", "AegisModelNotLoaded"


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/api"


@contextmanager
def something_else(code: int, body: str) -> Iterator[str]:
    """An HTTP server that is not Prefect's and answers all with `code` and `body`."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = answer  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: object) -> None:
            """Keeps the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api"
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer wrong", "Basic the-gateway's token", "Bearer the-gateway's tokeñ", "Bearer é"],
)
def test_without_the_token_nothing_is_read(gateway: httpx.Client, header: str | None) -> None:
    """401 says how to authenticate, before the body is looked at."""
    headers = {b"Authorization": header.encode()} if header is not None else {}
    response = httpx.post(gateway.base_url.join("/alerts"), content=b"not json", headers=headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert "AEGIS_GATEWAY_TOKEN" in response.json()["error"]


def test_a_malformed_webhook_names_its_fields(
    gateway: httpx.Client, group: str, caplog: pytest.LogCaptureFixture
) -> None:
    """422 with every wrong field's path, the remedy, and no value of the payload, neither here nor in the log."""
    bad = webhook(group, alert("", secret="hunter2"), alert(AUDIT, began="hunter2"))
    response = gateway.post("/alerts", json=bad)
    assert response.status_code == 422
    problem = response.json()
    assert [field["field"] for field in problem["fields"]] == ["alerts[0].labels.alertname", "alerts[1].startsAt"]
    assert "Alertmanager" in problem["error"]
    assert "alerts[1].startsAt" in caplog.text
    assert "hunter2" not in response.text + caplog.text


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_one_mebibyte_is_refused(gateway: httpx.Client, *, chunked: bool) -> None:
    """413, with and without a Content-Length; a body of just the limit is read (and is no JSON)."""
    parts = [b" " * app.LARGEST_BODY, b" "]
    response = gateway.post("/alerts", content=iter(parts) if chunked else b"".join(parts))
    assert response.status_code == 413
    assert "max_alerts" in response.json()["error"]
    assert gateway.post("/alerts", content=parts[0]).status_code == 422


def test_prefect_away_means_try_again(gateways: Gateways, group: str) -> None:
    """A closed port: 503 with Retry-After and no run claimed; alive but not ready; resolved alerts need no Prefect."""
    with gateways(closed_port()) as gateway:
        response = gateway.post("/alerts", json=recorded("firing", group))
        assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
        assert response.json().keys() == {"error", "fields"}
        assert gateway.get("/health").status_code == 200
        assert gateway.get("/ready").status_code == 503
        assert gateway.post("/alerts", json=webhook(group, alert(AUDIT, status="resolved"))).status_code == 200


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (500, '{"exception_message": "Internal Server Error"}'),
        (404, "<html>"),
        (404, '{"detail":"Not Found"}'),
        (200, "<html>"),
    ],
)
def test_an_answer_that_is_not_prefects_means_try_again(gateways: Gateways, code: int, body: str) -> None:
    """A failing server, a proxy or a wrong PREFECT_API_URL never passes for an alert without a playbook."""
    with something_else(code, body) as url, gateways(url) as gateway:
        response = gateway.post("/alerts", json=recorded("firing"))
        assert response.status_code == 503
        assert "PREFECT_API_URL" in response.json()["error"]
        assert gateway.get("/ready").status_code == 503


def test_a_silent_prefect_is_waited_for_no_longer_than_said(
    gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes the connection and says nothing: 503 after the bound, shortened here from 8 s."""
    assert app.LONGEST_WAIT == 8
    monkeypatch.setattr(app, "LONGEST_WAIT", 0.3)
    silent = socket.create_server(("127.0.0.1", 0))
    with silent, gateways(f"http://127.0.0.1:{silent.getsockname()[1]}/api") as gateway:
        response = gateway.post("/alerts", json=recorded("firing"))
    assert response.status_code == 503
    assert response.elapsed.total_seconds() < 2


def needs_more(incident: Incident, bucket: str) -> None:
    """What no playbook may take."""


def test_a_refused_playbook_is_loud_and_mendable(
    gateway: httpx.Client, deploy: Deploy, group: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Prefect's 409 is a 500, which Alertmanager repeats; its neighbour runs; once mended, the repeat starts it."""
    deploy("AegisSafetySpike", needs_more)
    content = webhook(group, alert("AegisSafetySpike"), alert(AUDIT))
    refused = gateway.post("/alerts", json=content)
    assert refused.status_code == 500
    assert "AegisSafetySpike" in refused.json()["error"]
    (line,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "'bucket' is a required property" in line.getMessage()
    deploy("AegisSafetySpike", playbook)
    mended = {run["alertname"]: run["created"] for run in gateway.post("/alerts", json=content).json()["runs"]}
    assert mended == {"AegisSafetySpike": True, AUDIT: False}


def test_ready_when_prefect_answers(gateway: httpx.Client) -> None:
    """With Prefect there, the gateway is ready."""
    assert gateway.get("/ready").status_code == 200


def test_other_addresses_are_refused_in_the_same_form(gateway: httpx.Client) -> None:
    """404 and 405 are JSON with `error`, too."""
    assert gateway.get("/nowhere").json() == {"error": "Not Found", "fields": []}
    assert gateway.get("/alerts").status_code == 405
