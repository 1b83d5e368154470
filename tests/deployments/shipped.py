"""The shipped files, and the lab's copies of them."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from aegis_flows.lab.alerting import Endpoints

DEPLOYMENTS = Path(__file__).parents[2] / "deployments"
RULES = DEPLOYMENTS / "prometheus/aegis.rules.yml"
SCRAPING = DEPLOYMENTS / "prometheus/prometheus.yml"
ROUTES = DEPLOYMENTS / "alertmanager/alertmanager.yml"
FACTOR = 30
CRITICAL = ("AegisSafetySpike", "AegisHighInferenceLatencyP95", "AegisModelNotLoaded", "AegisAuditWriteFailures")

ENDPOINTS = Endpoints(
    discovery="http://127.0.0.1:9/pods",
    alertmanager="127.0.0.1:9",
    gateway="http://127.0.0.1:9/alerts",
    pagerduty="http://127.0.0.1:9/v2/enqueue",
    secrets=Path("/nowhere/secrets"),
)


@dataclass(frozen=True)
class Answer:
    """What a tool printed, and whether it was content."""

    ok: bool
    text: str


def ask(*command: str | Path) -> Answer:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    return Answer(done.returncode == 0, done.stdout + done.stderr)


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def alerts() -> list[dict[str, Any]]:
    return [rule for group in loaded(RULES)["groups"] for rule in group["rules"]]
