from collections.abc import Iterator
from pathlib import Path

import pytest

from aegis_flows.clients import Clients, using
from aegis_flows.settings import Settings
from tests.lab.aws_account import Account

NOWHERE = "http://127.0.0.1:1/"


@pytest.fixture
def audit_account(account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Account]:
    """The clients in force are those of the lab's user aegis-flows."""
    who = account.identities
    monkeypatch.setenv("AWS_CONFIG_FILE", str(who.flows_config))
    monkeypatch.setenv("AWS_PROFILE", who.flows_profile)
    monkeypatch.setenv("AWS_ENDPOINT_URL", account.url)
    given = Settings.model_validate(
        {"environment": "staging", "audit_role_arn": who.role_arn, "audit_buffer": tmp_path}
        | dict.fromkeys(("service_url", "prometheus_url", "alertmanager_url"), NOWHERE)
        | dict.fromkeys(("pagerduty_token", "pagerduty_from", "slack_token"), "x")
    )
    with using(Clients(given)):
        yield account
