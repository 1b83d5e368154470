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
from aegis_flows.domain import BufferCount, Plan
from aegis_flows.errors import NotApproved, TooLate
from aegis_flows.settings import settings
from tasks import audit, kube, migrations, prometheus, runs
from tasks.waiting import wait_until

PASSES = 1000
"""A pass moves what lies there when it begins. More passes than this mean that the backend fails on and off."""


@flow(name="Migrate audit buffer", log_prints=True, flow_run_name="migrate audit buffer, try {attempt}")
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
        attempt: Which try this is; a try that does not end well is followed by the next.
        dry_run: Show what lies in the buffer and the commands; write nothing.

    """
    s = settings()
    bucket, key_id = (kube.env(s.namespace, s.deployment, n) or "" for n in audit.BACKEND)
    plan = _plan(bucket, key_id)
    if dry_run:
        found = audit.buffered(str(s.audit_buffer))
        print("\n".join(f"dry run, not sent $ {line}" for line in plan.commands))
        return Completed(name="Dry run", message=f"{found.left} events in {found.files} files would be moved.")
    by = approved_by_run or UUID(str(runtime.flow_run.id))
    try:
        covers = (migrations.DEPLOYMENT, *plan.commands)
        decision = approvals.inherited(by, incident, covers) if approved_by_run else approvals.decide(plan)
    except NotApproved as no:
        return Failed(name="Not approved", message=str(no))
    if attempt >= s.migration_tries:
        return _migrate(bucket, key_id, f"Approved by {decision.approver}. This was the last try.")
    # The next try is scheduled before this one touches anything: should this one die, that one goes on.
    net = migrations.scheduled(incident, by, attempt + 1, net=True).do()
    state = _migrate(bucket, key_id, f"Approved by {decision.approver}.")
    if state.name == "Later":
        migrations.scheduled(incident, by, attempt + 1).do()
    if not state.is_failed():
        runs.call_off(net)
    return state


def _migrate(bucket: str, key_id: str, how: str) -> State[str]:
    diagnosis = audit.canary(bucket, key_id)
    if not diagnosis.usable:
        return Completed(name="Later", message=f"Nothing was moved: {diagnosis.cause} ({diagnosis.evidence}).")
    try:
        moved = _drain(bucket, key_id)
        if not moved.left:
            moved = _sum(moved, _turn_off(bucket, key_id))
    except TooLate as late:
        return Failed(message=f"The fallback could not be turned off for good: {late}")
    create_table_artifact(table=[moved.model_dump()], key="migration", description=_sentence(moved))
    if moved.left or not moved.adds_up:
        return Failed(message=f"Not everything was moved: {_sentence(moved)}")
    return Completed(name="Migrated", message=f"{_sentence(moved)} {how}")


def _plan(bucket: str, key_id: str) -> Plan:
    s = settings()
    return Plan(
        title="Migrate the audit buffer to S3 and turn the fallback off",
        why="The audit backend is to work again; buffered events belong in the audit trail.",
        commands=(
            operation.later(audit.move_buffer, str(s.audit_buffer), bucket, key_id).shell,
            operation.later(kube.set_env, s.namespace, s.deployment, audit.FALLBACK, "false").shell,
        ),
        undo=operation.later(kube.set_env, s.namespace, s.deployment, audit.FALLBACK, "true").shell,
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
    since = datetime.now(UTC)
    if kube.env(s.namespace, s.deployment, audit.FALLBACK) == "true":
        kube.set_env(s.namespace, s.deployment, audit.FALLBACK, "false")
    within = timedelta(seconds=s.verify_seconds)
    written = f'aegis_audit_written_events_total{{namespace="{s.namespace}"}}'
    wait_until(kube.rolled_out, s.namespace, s.deployment, within=within, what="every pod runs without the fallback")
    wait_until(prometheus.grew, written, since, within=within, what="events reach S3 directly")
    return _drain(bucket, key_id)


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
