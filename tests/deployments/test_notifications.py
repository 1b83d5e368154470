import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from aegis_flows.lab import alerting
from aegis_flows.lab.debian import Binaries
from aegis_flows.lab.loopback import serving
from tests.deployments import shipped
from tests.lab.processes import answers, free_port, running, wait_until

NOW, ENDED = "2100-01-01T00:00:00Z", "2020-01-01T00:00:00Z"
SECRETS = {
    "pagerduty_routing_key_sre": "key-of-sre",
    "pagerduty_routing_key_safety": "key-of-safety",
    "gateway_token": "token-of-gateway",
}


UNKNOWN: dict[str, dict[str, str]] = {"labels": {"severity": "critical"}, "annotations": {}}


@dataclass(frozen=True)
class Received:
    """One request that Alertmanager made."""

    path: str
    authorization: str
    body: dict[str, Any]


@dataclass(frozen=True)
class Wire:
    """A running Alertmanager and everything it said."""

    url: str
    received: list[Received] = field(default_factory=list)

    def send(self, alertname: str, namespace: str = "aegis", ends: str = NOW) -> None:
        """What Prometheus would send for this shipped rule; a rule of no such name has severity=critical alone."""
        rule = next((rule for rule in shipped.alerts() if rule["alert"] == alertname), UNKNOWN)
        annotations = {k: v.replace("{{ $labels.namespace }}", namespace) for k, v in rule["annotations"].items()}
        labels = rule["labels"] | {"alertname": alertname, "namespace": namespace}
        alert = {"labels": labels, "annotations": annotations, "endsAt": ends}
        httpx.post(f"{self.url}/api/v2/alerts", json=[alert]).raise_for_status()

    def to(self, path: str) -> list[Received]:
        return [request for request in self.received if request.path == path]


@pytest.fixture
def wire(binaries: Binaries, tmp_path: Path) -> Iterator[Wire]:
    """The lab's Alertmanager, with PagerDuty, Slack and the gateway played by one server that writes down."""
    received: list[Received] = []

    async def write_down(request: Request) -> JSONResponse:
        received.append(Received(request.url.path, request.headers.get("Authorization", ""), await request.json()))
        return JSONResponse({"status": "success"}, status_code=202 if request.url.path == "/v2/enqueue" else 200)

    with serving(Starlette(routes=[Route("/{path:path}", write_down, methods=["POST"])])) as sink:
        endpoints = replace(
            shipped.ENDPOINTS, gateway=f"{sink}/alerts", pagerduty=f"{sink}/v2/enqueue", secrets=tmp_path
        )
        alerting.write(shipped.DEPLOYMENTS, tmp_path, endpoints, shipped.FACTOR)
        slack = {f"slack_{name}_url": f"{sink}/{name}" for name in ("aegis_alerts", "aegis_safety")}
        for name, value in (SECRETS | slack).items():
            (tmp_path / name).write_text(value)
        port = free_port()
        with running(
            alerting.alertmanager_command(binaries, tmp_path, port), lambda: answers(f"http://127.0.0.1:{port}/-/ready")
        ):
            yield Wire(f"http://127.0.0.1:{port}", received)


def test_a_critical_alert_opens_one_incident_everywhere_and_closes_it(wire: Wire) -> None:
    """PagerDuty, gateway and Slack get the same group at once; its dedup key is the hash of the webhook's groupKey."""
    wire.send("AegisAuditWriteFailures")
    wait_until(lambda: len(wire.received) >= 3)
    (page,), (webhook,), (message,) = wire.to("/v2/enqueue"), wire.to("/alerts"), wire.to("/aegis_alerts")
    assert webhook.authorization == "Bearer token-of-gateway"
    assert page.body["routing_key"] == "key-of-sre"
    assert page.body["dedup_key"] == hashlib.sha256(webhook.body["groupKey"].encode()).hexdigest()
    assert page.body["payload"]["severity"] == "critical"
    assert page.body["payload"]["summary"] == "[FIRING] Audit events cannot be written in aegis"
    assert [link["text"] for link in page.body["links"]] == ["Runbook", "Dashboard"]
    assert all(link["href"].startswith("https://") for link in page.body["links"])
    assert webhook.body["alerts"][0]["labels"]["owner_secondary"] == "compliance"
    assert message.body["attachments"][0]["title"] == page.body["payload"]["summary"]

    wire.send("AegisAuditWriteFailures", ends=ENDED)
    wait_until(lambda: len(wire.received) >= 6)
    assert wire.to("/v2/enqueue")[-1].body["event_action"] == "resolve"
    assert wire.to("/v2/enqueue")[-1].body["dedup_key"] == page.body["dedup_key"]
    assert wire.to("/alerts")[-1].body["status"] == "resolved"
    assert wire.to("/aegis_alerts")[-1].body["attachments"][0]["color"] == "good"


def test_a_safety_alert_goes_to_safety_alone(wire: Wire) -> None:
    """A critical safety alert pages Safety, starts its playbook and is in #aegis-safety; SRE hears nothing of it."""
    wire.send("AegisSafetySpike")
    wait_until(lambda: len(wire.received) >= 3)
    assert sorted(request.path for request in wire.received) == ["/aegis_safety", "/alerts", "/v2/enqueue"]
    assert wire.to("/v2/enqueue")[0].body["routing_key"] == "key-of-safety"
    assert wire.to("/aegis_safety")[0].body["channel"] == "#aegis-safety"


def test_a_message_reads_well(wire: Wire) -> None:
    """Slack shows what is wrong, where, whose it is, and links to the runbook and the dashboard."""
    wire.send("AegisModelNotLoaded")
    wait_until(lambda: bool(wire.to("/aegis_alerts")))
    (attachment,) = wire.to("/aegis_alerts")[0].body["attachments"]
    assert attachment["title"] == "[FIRING] Aegis runs without its model in aegis"
    assert attachment["title_link"].endswith("runbook_oncall.md#aegismodelnotloaded")
    assert attachment["color"] == "danger"
    lines = attachment["text"].split("\n")
    assert lines[0] == "*AegisModelNotLoaded* in `aegis`, critical"
    assert lines[1].endswith("or there is no pod that answers.")
    assert lines[2] == "Owner: sre, then release"
    assert lines[3].startswith("<https://github.com/aegis/aegis-flows/blob/main/docs/runbook_oncall.md#")
    assert lines[3].endswith("?var-namespace=aegis|Dashboard>")
    assert len(lines) == 4


def test_an_alert_that_says_nothing_is_still_delivered(wire: Wire) -> None:
    """Without annotations there is a title and there are links, so PagerDuty does not refuse the event."""
    wire.send("DrillOfTheAlertPath")
    wait_until(lambda: len(wire.received) >= 3)
    (page,) = wire.to("/v2/enqueue")
    assert page.body["payload"]["summary"] == "[FIRING] DrillOfTheAlertPath"
    assert all(link["href"].startswith("https://") for link in page.body["links"])
    assert wire.to("/aegis_alerts")[0].body["attachments"][0]["text"] == "*DrillOfTheAlertPath* in `aegis`, critical"


def test_a_page_silences_the_warning_about_the_same_thing_and_no_other(wire: Wire) -> None:
    """A critical alert inhibits the warning of its indicator in its namespace; others go out."""
    wire.send("AegisAuditWriteFailures")
    wait_until(lambda: bool(wire.to("/alerts")))
    wire.send("AegisAuditBufferGrowing")
    wire.send("AegisInferenceLatencyElevated")
    wire.send("AegisAuditBufferGrowing", namespace="other")
    states = httpx.get(f"{wire.url}/api/v2/alerts").json()
    inhibited = {(a["labels"]["alertname"], a["labels"]["namespace"]) for a in states if a["status"]["inhibitedBy"]}
    assert inhibited == {("AegisAuditBufferGrowing", "aegis")}
