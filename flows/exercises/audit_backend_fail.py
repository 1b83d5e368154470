"""Exercise 4: the audit backend fails, for real, in staging."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from prefect import flow, runtime
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Completed
from pydantic import Field

from aegis_flows import faults, guard
from aegis_flows.clients import clients
from aegis_flows.errors import AegisError, NotVerified, TooLate
from aegis_flows.faults import Fault
from aegis_flows.operation import dry_run as dry
from aegis_flows.operation import later
from aegis_flows.samples import last_increase
from aegis_flows.settings import settings
from aegis_flows.stamps import Stamp, StampName
from flows.exercises import watching
from tasks import audit, iam, kube, prometheus, runs
from tasks.stamping import fact, stamp, verdict
from tasks.waiting import wait_until

ALERT = "AegisAuditWriteFailures"
MIGRATION_ENDS = timedelta(minutes=30)
DENY_DECRYPT = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*"}]}


class Variant(StrEnum):
    bucket = "bucket"
    kms = "kms"


@flow(name="Exercise: audit backend fails", log_prints=True, flow_run_name="audit backend fails: {variant}")
def audit_backend_fail(
    variant: Variant,
    deadline_minutes: Annotated[float, Field(gt=0, le=120)] = 20,
    dry_run: bool = False,
) -> State[str]:
    """Break it, watch the alert reach people and the playbook cure it, put it back, and stamp each moment.

    Args:
        variant: What is broken. bucket: AUDIT_S3_BUCKET is misconfigured. kms: the service may no longer decrypt.
        deadline_minutes: When the fault is put back at the latest, whatever has died by then.
        dry_run: Show what would be broken and how it is put back; break nothing.

    """
    if dry_run:
        return _rehearse(variant)
    try:
        watching.steady_state()
        _backend_steady()
        fault = _fault(variant)
    except AegisError as error:
        return verdict(variant, "invalid", str(error))
    try:
        with faults.staged(fault, timedelta(minutes=deadline_minutes)):
            since = _injected(fault)
            playbook = _mitigated(since)
        fact(f"Put back and read back: {fault.what} is {fault.before!r} again")
        _restored(since, playbook)
    except AegisError as error:
        _sweep()
        return verdict(variant, "broke", str(error))
    return verdict(variant, "held", "Fired, heard, mitigated, and everything is back.")


def _rehearse(variant: Variant) -> State[str]:
    """The same way, without a write; breaks nothing and so proves nothing."""
    with dry():
        watching.steady_state()
        fault = _fault(variant)
        fault.inject.do()
        fault.undo.do()
    verdict(variant, "invalid", "A dry run breaks nothing and so proves nothing.")
    return Completed(name="Dry run", message="Nothing was broken.")


def _backend_steady() -> None:
    """Before the drill: the backend works, the fallback is off, the buffer is empty."""
    _sweep()
    wait_until(_unsteady, until=lambda told: not told, within=watching.STEADY, what="the audit backend is steady")


def _sweep() -> None:
    """Pods that stop while the backend fails spill what they hold; without a fallback nobody migrates it."""
    s = settings()
    bucket, key_id = (kube.env(s.namespace, s.deployment, name) or "" for name in audit.BACKEND)
    try:
        within = timedelta(seconds=s.verify_seconds)
        wait_until(kube.rolled_out, s.namespace, s.deployment, within=within, what="no pod is being replaced")
    except TooLate as late:
        print(f"the buffer is not swept: {late}")
        return
    spilled = audit.buffered(str(s.audit_buffer)).left
    if (
        spilled
        and kube.env(s.namespace, s.deployment, audit.FALLBACK) != "true"
        and audit.canary(bucket, key_id).usable
    ):
        audit.move_buffer(str(s.audit_buffer), bucket, key_id)


def _unsteady() -> str:
    """What is not as it should be, empty when all is well."""
    s = settings()
    diagnosis = audit.canary.fn(*(kube.env.fn(s.namespace, s.deployment, name) or "" for name in audit.BACKEND))
    if not diagnosis.usable:
        return f"{diagnosis.cause} ({diagnosis.evidence})"
    if left := audit.buffered.fn(str(s.audit_buffer)).left:
        return f"{left} audit events lie in the buffer"
    if kube.env.fn(s.namespace, s.deployment, audit.FALLBACK) == "true":
        return "the fallback is enabled"
    return ""


def _fault(variant: Variant) -> Fault:
    s, c = settings(), clients()
    if variant is Variant.bucket:
        name = "AUDIT_S3_BUCKET"
        right = kube.env(s.namespace, s.deployment, name)
        return faults.fault(
            f"{name} of {s.deployment}",
            later(kube.env, s.namespace, s.deployment, name),
            lambda value: later(kube.set_env, s.namespace, s.deployment, name, value),
            f"{right}-misconfigured",
        )
    role, policy = guard.role_name(c), "gameday-deny-decrypt"
    return faults.fault(
        f"policy {policy} of {role}",
        later(iam.role_policy, role, policy),
        lambda document: later(iam.set_role_policy, role, policy, document),
        DENY_DECRYPT,
    )


def _injected(fault: Fault) -> datetime:
    """The fault is in, as read back; the service's own error counter verifies that it bites."""
    at = watching.now()
    stamp(
        Stamp(
            name=StampName.injected,
            at=at,
            source="aegis-flows",
            evidence=f"flow run {runtime.flow_run.id}, journal entry {fault.id}",
            detail=f"{fault.what} is broken and read back; it was {fault.before!r}",
            by="automation",
        )
    )
    errors = _counter("aegis_audit_write_errors_total")
    bites = wait_until(prometheus.grew, errors, at, within=watching.NOTICE, what="the service's write errors grow")
    assert bites is not None
    stamp(
        Stamp(
            name=StampName.verified,
            at=bites,
            source="prometheus",
            evidence=errors,
            detail="the service itself counts failed audit writes",
            resolution=watching.SECOND,
        )
    )
    return at


def _mitigated(since: datetime) -> FlowRun:
    watching.fires(ALERT, since)
    playbook = watching.routed(ALERT, since)
    watching.reaches_slack(ALERT, since)
    incident = watching.opens_incident(_dedup_key(playbook), since)
    watching.acknowledged(incident["id"])
    watching.cured_by(playbook)
    _errors_stopped(since)
    return playbook


def _errors_stopped(since: datetime) -> None:
    """Not the playbook's word but the counters': events are buffered, and this was the last error."""
    s = settings()
    errors, buffered = _counter("aegis_audit_write_errors_total"), _counter("aegis_audit_buffered_events_total")
    if not prometheus.quiet_for(errors, s.settle_seconds):
        raise NotVerified("The playbook says mitigated, but audit write errors still grow.")
    if not prometheus.grew(buffered, since):
        raise NotVerified("The playbook says mitigated, but nothing was buffered.")
    last = last_increase(prometheus.samples(errors, since))
    assert last is not None
    stamp(
        Stamp(
            name=StampName.mitigated,
            at=last,
            source="prometheus",
            evidence=errors,
            detail="the last failed audit write; since then events are buffered",
            by="automation",
            resolution=watching.SECOND,
        )
    )


def _restored(since: datetime, playbook: FlowRun) -> None:
    """The backend works, the migration has moved everything, the fallback is off, and the alert is gone."""
    migration = _migration(since, _dedup_key(playbook))
    ended = watching.alert_ended(ALERT, since)
    if told := _unsteady():
        raise NotVerified(f"Everything was put back, and yet {told}.")
    assert migration.end_time is not None
    fact(f"Migration: {migration.state.message if migration.state else ''}")
    fact("Canary: written, read back, decrypted, removed; buffer empty; fallback off")
    at, source, evidence = max(
        (migration.end_time, "prefect", f"flow run {migration.id}"), (ended, "prometheus", prometheus.firing(ALERT))
    )
    stamp(
        Stamp(
            name=StampName.restored,
            at=at,
            source=source,
            evidence=evidence,
            detail="the backend works, the buffer is empty, the fallback is off, the alert is resolved",
            by="automation",
        )
    )


def _migration(since: datetime, dedup_key: str) -> FlowRun:
    """The run that has moved the buffer; tries before it found the backend still broken, as they should."""

    def finished(found: list[FlowRun]) -> bool:
        names = [r.state.name for r in found if r.state]
        return "Migrated" in names or any(r.state and r.state.is_failed() for r in found)

    found = wait_until(
        runs.tagged,
        ["migration", f"incident:{dedup_key}"],
        since,
        until=finished,
        within=MIGRATION_ENDS,
        what="the buffer is migrated",
    )
    last = next((r for r in found if r.state and r.state.name == "Migrated"), None)
    if last is None:
        failed = next(r for r in found if r.state and r.state.is_failed())
        raise NotVerified(f"The migration failed: {failed.state.message if failed.state else ''}")
    return last


def _dedup_key(playbook: FlowRun) -> str:
    incident: dict[str, Any] = playbook.parameters["incident"]
    return str(incident["dedup_key"])


def _counter(name: str) -> str:
    return f'{name}{{namespace="{settings().namespace}"}}'
