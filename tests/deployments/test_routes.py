import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_flows.lab import alerting
from aegis_flows.lab.debian import Binaries
from tests.deployments import shipped

# Severity and team → receiver; the runbook's "Owners & escalation".
EXPECTED = {
    ("critical", "sre"): "critical",
    ("critical", "release"): "critical",
    ("critical", ""): "critical",
    ("critical", "safety"): "safety-critical",
    ("warning", "sre"): "aegis-alerts",
    ("warning", "compliance"): "aegis-alerts",
    ("warning", ""): "aegis-alerts",
    ("warning", "safety"): "safety",
    ("info", "safety"): "safety",
    ("", "safety"): "safety",
    ("info", "sre"): "aegis-alerts",
    ("", ""): "aegis-alerts",
}
SECRETS = {
    *("pagerduty_routing_key_sre", "pagerduty_routing_key_safety", "gateway_token"),
    *("slack_aegis_alerts_url", "slack_aegis_safety_url"),
}


@pytest.fixture(scope="session", params=["shipped", "lab"])
def config(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """alertmanager.yml as it is shipped, and as the lab runs it."""
    if request.param == "shipped":
        return shipped.ROUTES
    folder = tmp_path_factory.mktemp("lab")
    alerting.write(shipped.DEPLOYMENTS, folder, shipped.ENDPOINTS, shipped.FACTOR)
    return folder / "alertmanager/alertmanager.yml"


def test_amtool_accepts_the_configuration(binaries: Binaries, config: Path) -> None:
    """Amtool finds no error in the configuration and in the templates beside it."""
    answer = shipped.ask(binaries.amtool, "check-config", config)
    assert answer.ok, answer.text
    assert "4 receivers" in answer.text


@pytest.mark.parametrize(("severity", "team"), EXPECTED)
def test_each_severity_of_each_team_reaches_its_receiver(
    binaries: Binaries, config: Path, severity: str, team: str
) -> None:
    """Amtool routes an alert of this severity and team to this receiver and to no other."""
    given = {"severity": severity, "team": team, "alertname": "Some", "namespace": "aegis"}
    words = [f"{name}={value}" for name, value in given.items() if value]
    _verify(binaries, config, EXPECTED[severity, team], words)


@pytest.mark.parametrize("rule", shipped.alerts(), ids=lambda rule: f"{rule['alert']}-{rule['labels']['indicator']}")
def test_each_shipped_alert_reaches_its_receiver(binaries: Binaries, config: Path, rule: dict[str, Any]) -> None:
    """The labels of every shipped rule lead to the receiver of their severity and team."""
    receiver = EXPECTED[rule["labels"]["severity"], rule["labels"]["team"]]
    words = [f"{name}={value}" for name, value in (rule["labels"] | {"alertname": rule["alert"]}).items()]
    _verify(binaries, config, receiver, words)


def _verify(binaries: Binaries, config: Path, receiver: str, labels: list[str]) -> None:
    options = [f"--config.file={config}", f"--verify.receivers={receiver}"]
    answer = shipped.ask(binaries.amtool, "config", "routes", "test", *options, *labels)
    assert answer.ok, answer.text


def test_each_receiver_tells_whom_the_runbook_names() -> None:
    """Receiver by receiver: whose PagerDuty, how urgently, whether the gateway, and which channel."""
    told = {receiver["name"]: list(_told(receiver)) for receiver in shipped.loaded(shipped.ROUTES)["receivers"]}
    assert told == {
        "critical": ["pagerduty sre critical", "gateway", "slack #aegis-alerts by slack_aegis_alerts_url"],
        "safety-critical": ["pagerduty safety critical", "gateway", "slack #aegis-safety by slack_aegis_safety_url"],
        "safety": ["pagerduty safety warning", "slack #aegis-safety by slack_aegis_safety_url"],
        "aegis-alerts": ["slack #aegis-alerts by slack_aegis_alerts_url"],
    }


def _told(receiver: dict[str, Any]) -> Iterator[str]:
    for entry in receiver.get("pagerduty_configs", []):
        yield f"pagerduty {entry['routing_key_file'].rpartition('_')[2]} {entry['severity']}"
    for entry in receiver.get("webhook_configs", []):
        assert entry["max_alerts"] == 0
        yield "gateway"
    for entry in receiver.get("slack_configs", []):
        yield f"slack {entry['channel']} by {Path(entry['api_url_file']).name}"


def test_people_hear_of_the_end_too() -> None:
    """Every receiver sends what is resolved."""
    for receiver in shipped.loaded(shipped.ROUTES)["receivers"]:
        entries = [entry for kind, entries in receiver.items() if kind != "name" for entry in entries]
        assert entries
        assert all(entry["send_resolved"] is True for entry in entries)


def test_secrets_are_files() -> None:
    """No key, token or Slack address stands in the configuration: five files hold them."""
    text = shipped.ROUTES.read_text()
    assert set(re.findall("/etc/alertmanager/secrets/([a-z_]+)", text)) == SECRETS
    assert not re.findall(r"\b(routing_key|api_url|credentials|bearer_token|password):", text)
