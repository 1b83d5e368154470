"""Faults against a Kubernetes API and an IAM that really answer; what needs Prefect is tested in the lab."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)

from aegis_flows import faults, guard, journal
from aegis_flows.clients import Clients, clients, using
from aegis_flows.errors import Conflict, NotStaging, Refused
from aegis_flows.faults import Fault
from aegis_flows.operation import later
from aegis_flows.settings import Settings
from tasks import kube
from tests.lab.aws_account import Account
from tests.lab.kube import standin
from tests.lab.kube.standin import StandIn

BUCKET = "AUDIT_S3_BUCKET"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with standin.running(tmp_path_factory.mktemp("kube")) as started:
        yield started


@pytest.fixture
def staging(
    cluster: StandIn, account: Account, prefect_api: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Settings]:
    """A namespace and a role that are staging, with a Deployment that runs nothing."""
    who, name = account.identities, f"staging-{uuid4().hex[:6]}"
    env = {"KUBECONFIG": str(cluster.kubeconfig), "AWS_CONFIG_FILE": str(who.flows_config), "AWS_PROFILE": "flows"}
    for key, value in env.items():
        monkeypatch.setenv(key, value)
    cluster.core.create_namespace({"metadata": {"name": name, "labels": {guard.LABEL: "staging"}}})
    cluster.apps.create_namespaced_deployment(name, _deployment())
    given = {"environment": "staging", "namespace": name, "audit_role_arn": who.role_arn, "audit_buffer": tmp_path}
    given |= {f"{system}_url": "http://127.0.0.1:1/" for system in ("service", "prometheus", "alertmanager")}
    given |= dict.fromkeys(("pagerduty_token", "pagerduty_from", "slack_token"), "x")
    settings = Settings.model_validate(given)
    with (
        using(Clients(settings)),
        temporary_settings({PREFECT_API_URL: prefect_api, PREFECT_LOGGING_TO_API_ENABLED: False}),
    ):
        yield settings


def _deployment() -> dict[str, Any]:
    container = {"name": "aegis", "image": "aegis", "env": [{"name": BUCKET, "value": "right"}]}
    template = {"metadata": {"labels": {"app": "aegis"}}, "spec": {"containers": [container]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "aegis"}}, "template": template}
    return {"metadata": {"name": "aegis"}, "spec": spec}


def bucket(settings: Settings) -> str | None:
    return kube.env.fn(settings.namespace, "aegis", BUCKET)


def wrong_bucket(settings: Settings, value: str = "wrong") -> Fault:
    return fault_of(settings.namespace, BUCKET, value)


def fault_of(namespace: str, name: str, value: str) -> Fault:
    return faults.fault(
        f"{name} of aegis",
        later(kube.env, namespace, "aegis", name),
        lambda v: later(kube.set_env, namespace, "aegis", name, v),
        value,
    )


def test_a_fault_carries_its_undo_as_data(staging: Settings) -> None:
    """Read back from the journal in another process it is the same fault, and a person can read how to undo it."""
    fault = wrong_bucket(staging)
    journal.add(clients(), fault.id, fault.model_dump(mode="json") | {"undo by hand": fault.undo.shell})
    assert faults.open_faults() == [fault]
    text = clients().core.read_namespaced_config_map(journal.NAME, staging.namespace).data[fault.id]
    assert json.loads(text)["undo by hand"].startswith(f"kubectl -n {staging.namespace} patch deployment/aegis")


@pytest.mark.usefixtures("staging")
def test_one_open_fault_at_a_time() -> None:
    """A second drill is refused by the journal itself, not by a look beforehand."""
    journal.add(clients(), "first", {})
    with pytest.raises(Refused, match="first"):
        journal.add(clients(), "second", {})
    with pytest.raises(Refused, match="first"):
        guard.no_open_fault()
    journal.remove(clients(), "first")
    journal.add(clients(), "second", {})
    assert list(journal.read(clients())) == ["second"]


def test_restore_puts_the_pre_image_back_and_reads_it(staging: Settings) -> None:
    """Twice is once."""
    fault = wrong_bucket(staging)
    journal.add(clients(), fault.id, fault.model_dump(mode="json"))
    fault.inject.do()
    assert bucket(staging) == "wrong"
    assert faults.restore(fault) == "put back"
    assert (bucket(staging), faults.open_faults()) == ("right", [])
    assert faults.restore(fault) == "was back already"


def test_somebody_elses_edit_is_reported_and_kept(staging: Settings) -> None:
    """A third value is neither ours nor the pre-image: it is left, and stays in the journal for people."""
    fault = wrong_bucket(staging)
    journal.add(clients(), fault.id, fault.model_dump(mode="json"))
    kube.set_env.fn(staging.namespace, "aegis", BUCKET, "theirs")
    with pytest.raises(Conflict, match=r"theirs.*patch deployment/aegis"):
        faults.restore(fault)
    assert bucket(staging) == "theirs"
    assert faults.open_faults() == [fault]


def test_breaking_what_is_broken_is_refused(staging: Settings) -> None:
    """It would prove nothing, and its undo would write the wrong value."""
    with pytest.raises(Refused, match="broken already"):
        wrong_bucket(staging, "right")


def test_variable_that_was_not_set_is_taken_away_again(staging: Settings) -> None:
    """The pre-image of nothing is nothing."""
    fault = fault_of(staging.namespace, "NEW", "x")
    journal.add(clients(), fault.id, {})
    fault.inject.do()
    faults.restore(fault)
    assert kube.env.fn(staging.namespace, "aegis", "NEW") is None
    assert bucket(staging) == "right"


def test_staging_is_proven_three_times(staging: Settings, cluster: StandIn, account: Account) -> None:
    """Our setting, the namespace's label and the role's tag; each missing one is named, and means no."""
    assert guard.prove_staging().count("is staging") == 3
    with using(Clients(staging.model_copy(update={"environment": "production"}))):
        _refused("AEGIS_ENVIRONMENT is 'production'")
    cluster.core.patch_namespace(staging.namespace, {"metadata": {"labels": {guard.LABEL: None}}})
    _refused(r"label aegis/environment of namespace .* is None")
    cluster.core.patch_namespace(staging.namespace, {"metadata": {"labels": {guard.LABEL: "staging"}}})
    iam = account.admin.client("iam")
    iam.untag_role(RoleName="aegis-audit", TagKeys=["environment"])
    _refused("tag environment of role aegis-audit is None")
    iam.tag_role(RoleName="aegis-audit", Tags=[{"Key": "environment", "Value": "staging"}])


def _refused(reason: str) -> None:
    with pytest.raises(NotStaging, match=reason):
        guard.prove_staging()
