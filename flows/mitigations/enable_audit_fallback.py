"""Audit events go to a local buffer while S3 or KMS refuses them."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect import flow, runtime
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from aegis_flows import approvals, operation
from aegis_flows.domain import Plan
from aegis_flows.errors import NotApproved, TooLate
from aegis_flows.settings import settings
from tasks import kube, prometheus, runs, slack
from tasks.waiting import wait_until

MIGRATION = "Migrate audit buffer/migrate-audit-buffer"
FALLBACK = "AUDIT_FALLBACK_ENABLED"


@flow(name="Enable audit fallback", log_prints=True)
def enable_audit_fallback(
    why: str,
    incident: str | None = None,
    dry_run: bool = False,
) -> State[str]:
    """Buffer audit events on the pods' shared volume and schedule their migration, once a named person agrees.

    Args:
        why: What is wrong with the audit backend, for whoever is asked to approve.
        incident: PagerDuty's dedup key of the incident this belongs to; empty if there is none.
        dry_run: Show the plan and its commands; ask nobody and write nothing.

    """
    s = settings()
    before = kube.env(s.namespace, s.deployment, FALLBACK)
    if before == "true":
        return Completed(name="Already", message="The fallback was enabled already; nothing was changed.")
    enable = operation.later(kube.set_env, s.namespace, s.deployment, FALLBACK, "true")
    schedule = operation.later(
        runs.start,
        MIGRATION,
        parameters={"incident": incident},
        key="",
        tags=[],
    )
    plan = Plan(
        title="Enable the audit fallback buffer",
        why=why,
        commands=(enable.shell, f"{schedule.shell} --start-in '{s.migration_delay_seconds:.0f} seconds'"),
        undo=operation.later(kube.set_env, s.namespace, s.deployment, FALLBACK, before).shell,
    )
    if dry_run:
        print("\n".join(f"dry run, not sent $ {line}" for line in plan.commands))
        return Completed(name="Dry run", message="Nothing was asked and nothing was written.")
    try:
        _announce(plan)
        decision = approvals.decide(plan)
        started = datetime.now(UTC)
        _schedule_migration(incident)
        enable.do()
        _verify(started)
    except NotApproved as no:
        return Failed(name="Not approved", message=str(no))
    except TooLate as late:
        return Failed(name="Not verified", message=f"{late} It is enabled; to take it back: {plan.undo}")
    return Completed(name="Verified", message=f"Events are safe, errors have stopped; approved by {decision.approver}.")


def _announce(plan: Plan) -> None:
    if not approvals.first_asked(plan):
        return
    commands = "\n".join(plan.commands)
    run = runtime.flow_run.id
    slack.post(
        settings().slack_channel,
        f":raised_hand: *{plan.title}?* {plan.why}\n```{commands}```\n"
        f"Undo: `{plan.undo}`\nAnswer in the <{runtime.flow_run.ui_url}|Prefect UI>, or: "
        f"`aegis approve {run} --as YOU --reason WHY`. Plan `{plan.hash}`; silence counts as a no.",
    )


def _schedule_migration(incident: str | None) -> None:
    """The way back, before anything is changed: whatever dies from here on, the buffer is emptied and turned off."""
    run = str(runtime.flow_run.id)
    first = _migrate_at(incident, f"migrate:{run}:1")
    if runs.ended(runs.run(first)):  # this run was killed after it had scheduled it, and is resumed late
        _migrate_at(incident, f"migrate:{run}:1:again")


def _migrate_at(incident: str | None, key: str) -> UUID:
    return runs.start(
        MIGRATION,
        parameters={"incident": incident, "approved_by_run": str(runtime.flow_run.id)},
        key=key,
        tags=["mitigation", "migration", *([f"incident:{incident}"] if incident else [])],
        at=datetime.now(UTC) + timedelta(seconds=settings().migration_delay_seconds),
    )


def _verify(since: datetime) -> None:
    """It worked when every pod runs with it, events are safe (buffered, or in S3 again), and errors stop growing."""
    s = settings()
    within = timedelta(seconds=s.verify_seconds)
    safe = f'{{__name__=~"aegis_audit_(buffered|written)_events_total",namespace="{s.namespace}"}}'
    errors = f'aegis_audit_write_errors_total{{namespace="{s.namespace}"}}'
    quiet = f"no write error for {s.settle_seconds:g} s"
    wait_until(kube.rolled_out, s.namespace, s.deployment, within=within, what="every pod runs with the fallback")
    wait_until(prometheus.grew, safe, since, within=within, what="events are buffered or written")
    wait_until(prometheus.quiet_for, errors, s.settle_seconds, within=within, what=quiet)
