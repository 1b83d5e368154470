"""Every buffered audit event goes to S3, exactly once; then the fallback is turned off."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from prefect import flow, runtime
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from aegis_flows import approvals, operation
from aegis_flows.domain import BufferCount, Diagnosis, Plan
from aegis_flows.errors import NotApproved
from aegis_flows.settings import settings
from flows.mitigations.enable_audit_fallback import FALLBACK, MIGRATION
from tasks import audit, kube, prometheus, runs
from tasks.waiting import wait_until

PASSES = 1000
"""A pass moves what lies there when it begins. More passes than this mean that the backend fails on and off."""


@flow(name="Migrate audit buffer", log_prints=True)
def migrate_audit_buffer(
    incident: str | None = None,
    approved_by_run: UUID | None = None,
    attempt: Annotated[int, Field(ge=1)] = 1,
    dry_run: bool = False,
) -> State[str]:
    """Check the backend, move the buffer, turn the fallback off when it is empty, and account for every event.

    Args:
        incident: PagerDuty's dedup key of the incident this belongs to; empty if there is none.
        approved_by_run: The run whose approval covers this migration. Empty: this run asks for its own.
        attempt: Which try this is; a try that finds S3 unusable plans the next one.
        dry_run: Show what lies in the buffer and the commands; write nothing.

    """
    s = settings()
    bucket = kube.env(s.namespace, s.deployment, "AUDIT_S3_BUCKET") or ""
    key_id = kube.env(s.namespace, s.deployment, "AUDIT_KMS_KEY_ID") or ""
    plan = _plan(bucket, key_id)
    if dry_run:
        found = audit.buffered(str(s.audit_buffer))
        print("\n".join(f"dry run, not sent $ {line}" for line in plan.commands))
        return Completed(name="Dry run", message=f"{found.left} events in {found.files} files would be moved.")
    try:
        decision = approvals.inherited(approved_by_run, MIGRATION) if approved_by_run else approvals.decide(plan)
    except NotApproved as no:
        return Failed(name="Not approved", message=str(no))
    diagnosis = audit.canary(bucket, key_id)
    if not diagnosis.usable:
        return _try_later(diagnosis, incident, approved_by_run, attempt)
    moved = _drain(bucket, key_id)
    if not moved.left:
        moved = _sum(moved, _turn_off(bucket, key_id))
    _report(moved)
    if moved.left or not moved.adds_up:
        return Failed(message=f"Not everything was moved: {_sentence(moved)}")
    return Completed(name="Migrated", message=f"{_sentence(moved)} Approved by {decision.approver}.")


def _plan(bucket: str, key_id: str) -> Plan:
    s = settings()
    return Plan(
        title="Migrate the audit buffer to S3 and turn the fallback off",
        why="The audit backend is to work again; buffered events belong in the audit trail.",
        commands=(
            operation.later(audit.move_buffer, str(s.audit_buffer), bucket, key_id).shell,
            operation.later(kube.set_env, s.namespace, s.deployment, FALLBACK, "false").shell,
        ),
        undo=operation.later(kube.set_env, s.namespace, s.deployment, FALLBACK, "true").shell,
    )


def _drain(bucket: str, key_id: str) -> BufferCount:
    """Passes until one finds nothing, or S3 refuses a batch."""
    folder, total = str(settings().audit_buffer), BufferCount()
    for _ in range(PASSES):
        one = audit.move_buffer(folder, bucket, key_id)
        total = _sum(total, one)
        if one.left or not one.files:
            break
    return total


def _turn_off(bucket: str, key_id: str) -> BufferCount:
    """The buffer is empty: turn the fallback off, then move what the stopping pods may have spilled."""
    s = settings()
    if kube.env(s.namespace, s.deployment, FALLBACK) != "true":
        return BufferCount()
    since = datetime.now(UTC)
    kube.set_env(s.namespace, s.deployment, FALLBACK, "false")
    within = timedelta(seconds=s.verify_seconds)
    wait_until(kube.rolled_out, s.namespace, s.deployment, within=within, what="every pod runs without the fallback")
    wait_until(
        prometheus.grew,
        f'aegis_audit_written_events_total{{namespace="{s.namespace}"}}',
        since,
        within=within,
        what="events reach S3 directly",
    )
    return _drain(bucket, key_id)


def _try_later(diagnosis: Diagnosis, incident: str | None, approved_by_run: UUID | None, attempt: int) -> State[str]:
    """Nothing was touched. The approval is still good, so the next try needs no new one."""
    s = settings()
    sentence = f"Nothing was moved: {diagnosis.cause} ({diagnosis.evidence})."
    if attempt >= s.migration_tries:
        return Failed(message=f"{sentence} That was try {attempt} of {s.migration_tries}; the buffer stays as it is.")
    at = datetime.now(UTC) + timedelta(seconds=s.migration_delay_seconds)
    run = str(approved_by_run or runtime.flow_run.id)
    runs.start(
        MIGRATION,
        parameters={"incident": incident, "approved_by_run": run, "attempt": attempt + 1},
        key=f"migrate:{run}:{attempt + 1}",
        tags=["mitigation", "migration", *([f"incident:{incident}"] if incident else [])],
        at=at,
    )
    return Completed(name="Later", message=f"{sentence} Next try at {at:%H:%M:%S} UTC.")


def _sum(a: BufferCount, b: BufferCount) -> BufferCount:
    """What is left is what the later look found."""
    return BufferCount(
        found=a.found + b.found - a.left,
        moved=a.moved + b.moved,
        quarantined=a.quarantined + b.quarantined,
        left=b.left,
        files=a.files + b.files,
    )


def _sentence(c: BufferCount) -> str:
    return (
        f"{c.found} events found = {c.moved} moved and read back + {c.quarantined} quarantined + {c.left} left, "
        f"in {c.files} files."
    )


def _report(c: BufferCount) -> None:
    create_table_artifact(table=[c.model_dump()], key="migration", description=_sentence(c))
