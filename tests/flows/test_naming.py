"""One alert, one playbook file, one deployment, one name."""

import re
from pathlib import Path
from pkgutil import iter_modules, resolve_name
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.utilities.callables import parameter_schema

from aegis_flows import directory
from aegis_flows.domain import deployment_name
from aegis_flows.drills import DrillName

REPOSITORY = Path(__file__).parents[2]
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text())["deployments"]
RULES = yaml.safe_load((REPOSITORY / "deployments/prometheus/aegis.rules.yml").read_text())["groups"]
CRITICAL = {
    rule["alert"]: rule["labels"]
    for group in RULES
    for rule in group["rules"]
    if rule.get("labels", {}).get("severity") == "critical"
}
PLAYBOOKS = [module.name for module in iter_modules([str(REPOSITORY / "flows/playbooks")])]


def flow_of(deployment: dict[str, Any]) -> Flow[..., Any]:
    module, _, name = deployment["entrypoint"].rpartition(".")
    found = resolve_name(f"{module}:{name}")
    assert isinstance(found, Flow)
    return found


@pytest.mark.parametrize("module", PLAYBOOKS)
def test_playbook_has_rule_deployment_and_owners(module: str) -> None:
    """The gateway finds a playbook by its alert's name alone, so nothing may be called otherwise."""
    alert = next(a for a in CRITICAL if deployment_name(a).replace("-", "_") == module)
    [deployment] = [d for d in DEPLOYMENTS if d["name"] == deployment_name(alert)]
    assert deployment["entrypoint"] == f"flows.playbooks.{module}.{module}"
    assert flow_of(deployment).name == alert
    assert alert in directory.read(REPOSITORY / "deployments/directory.yaml").alerts


@pytest.mark.parametrize("alert", CRITICAL)
def test_rule_names_the_owners_of_the_directory(alert: str) -> None:
    """Who is paged and who is asked are the same people."""
    owners = directory.read(REPOSITORY / "deployments/directory.yaml").alerts[alert]
    labels = CRITICAL[alert]
    assert (labels["owner_primary"], labels["owner_secondary"]) == (owners.primary, owners.secondary)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: str(d["name"]))
def test_deployment_explains_itself(deployment: dict[str, Any]) -> None:
    """In the UI every deployment has a description, and every field of its form too."""
    flow = flow_of(deployment)
    assert deployment["description"].strip()
    assert deployment["tags"]
    assert re.match(r"[A-Z]", flow.name)
    for name, shown in parameter_schema(flow).properties.items():
        assert shown.get("description") or "$ref" in shown, f"{deployment['name']}: {name} has no description"


def test_every_drill_is_an_exercise_that_can_be_run_alone() -> None:
    """What the command line names is a file, and has a deployment of its own."""
    for drill in DrillName:
        exercise = drill.split("/")[0]
        assert (REPOSITORY / f"flows/exercises/{exercise}.py").exists()
        assert f"exercise-{exercise.replace('_', '-')}" in [d["name"] for d in DEPLOYMENTS]


def test_runs_pull_no_code_and_load_modules() -> None:
    """A path entrypoint would load a second copy of the module; a pull step would name somebody's folder."""
    assert yaml.safe_load((REPOSITORY / "prefect.yaml").read_text())["pull"] == []
    assert all(re.fullmatch(r"[a-z_.]+", d["entrypoint"]) for d in DEPLOYMENTS)
