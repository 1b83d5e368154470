from pathlib import Path

import pytest
import yaml

from aegis_flows import directory
from aegis_flows.lab import alerting
from aegis_flows.lab.debian import Binaries
from tests.deployments import shipped

TESTS = sorted((shipped.DEPLOYMENTS / "prometheus/tests").glob("*.test.yml"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_rules_behave_as_their_unit_tests_say(binaries: Binaries, path: Path) -> None:
    """Each alert fires, stays quiet, resolves and survives counter resets as promtool's test file describes."""
    answer = shipped.ask(binaries.promtool, "test", "rules", path)
    assert answer.ok, answer.text


def test_every_alert_is_shown_to_fire_and_to_end() -> None:
    """Promtool's test files hold, for every shipped alert, a time at which it fires and one at which it does not."""
    fires: dict[str, set[bool]] = {}
    for case in (case for path in TESTS for case in shipped.loaded(path)["tests"]):
        for check in case.get("alert_rule_test", []):
            fires.setdefault(check["alertname"], set()).add(bool(check["exp_alerts"]))
    assert fires == {rule["alert"]: {True, False} for rule in shipped.alerts()}


def test_promtool_accepts_the_shipped_and_the_labs_files(binaries: Binaries, tmp_path: Path) -> None:
    """The rules, and both scrape configurations, have no error and no duplicate rule."""
    assert (answer := shipped.ask(binaries.promtool, "check", "rules", shipped.RULES)).ok, answer.text
    alerting.write(shipped.DEPLOYMENTS, tmp_path, shipped.ENDPOINTS, shipped.FACTOR)
    answer = shipped.ask(binaries.promtool, "check", "config", tmp_path / "prometheus/prometheus.yml")
    assert answer.ok, answer.text
    assert "1 rule files found" in answer.text


def test_promtool_accepts_the_shipped_scraping(binaries: Binaries, tmp_path: Path) -> None:
    """All of prometheus.yml is valid; Debian's build lacks Kubernetes' discovery, which is then put aside."""
    answer = shipped.ask(binaries.promtool, "check", "config", shipped.SCRAPING)
    if "kubernetes_sd_configs not found" in answer.text:
        config = shipped.loaded(shipped.SCRAPING)
        assert config["scrape_configs"][0].pop("kubernetes_sd_configs") == [{"role": "pod"}]
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
        answer = shipped.ask(binaries.promtool, "check", "config", tmp_path / "prometheus.yml")
    assert answer.ok, answer.text


@pytest.mark.parametrize("rule", shipped.alerts(), ids=lambda rule: rule["alert"])
def test_every_alert_says_whose_it_is_and_where_to_read_on(rule: dict[str, dict[str, str]]) -> None:
    """Team, owners, severity, summary, description, runbook and dashboard stand in every alert."""
    expected = {"severity", "team", "owner_primary", "owner_secondary", "service", "indicator"}
    assert rule["labels"].keys() == expected
    assert rule["labels"]["service"] == "aegis"
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url", "dashboard_url"}
    known = directory.read(shipped.DEPLOYMENTS / "directory.yaml").teams.keys()
    assert {rule["labels"][name] for name in ("team", "owner_primary", "owner_secondary")} <= known


def test_the_paging_alerts_are_the_runbooks() -> None:
    """The critical alerts are the four of the runbook, with the directory's owners and a section each to read."""
    owners = directory.read(shipped.DEPLOYMENTS / "directory.yaml").alerts
    paging = [rule for rule in shipped.alerts() if rule["labels"]["severity"] == "critical"]
    assert {rule["alert"] for rule in paging} == set(shipped.CRITICAL)
    for rule in paging:
        name, labels = rule["alert"], rule["labels"]
        assert (labels["owner_primary"], labels["owner_secondary"]) == (owners[name].primary, owners[name].secondary)
        assert rule["annotations"]["runbook_url"].endswith(f"docs/runbook_oncall.md#{name.lower()}")


def test_every_paging_team_has_a_warning_too() -> None:
    """Each team that is paged also has a slower alert, so the warning routes are in use."""
    teams: dict[str, set[str]] = {}
    for rule in shipped.alerts():
        teams.setdefault(rule["labels"]["severity"], set()).add(rule["labels"]["team"])
    assert teams["critical"] == teams["warning"] == {"sre", "safety"}
