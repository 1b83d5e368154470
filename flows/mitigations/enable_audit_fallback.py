"""Audit events go to a local buffer while S3 or KMS refuses them."""

from datetime import UTC, datetime, timedelta

from prefect import flow, runtime
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from aegis_flows import approvals, operation
from aegis_flows.domain import Plan
from aegis_flows.errors import NotApproved, TooLate
from aegis_flows.settings import settings
from tasks import audit, kube, migrations, prometheus, slack
from tasks.waiting import wait_until


@flow(name="Enable audit fallback", log_prints=True, flow_run_name="enable audit fallback")
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
    before = kube.env(s.namespace, s.deployment, audit.FALLBACK)
    # The way back stands first: whatever dies from here on, the buffer is emptied and the fallback turned off.
    steps = (
        migrations.scheduled(incident, str(runtime.flow_run.id), attempt=1),
        operation.later(kube.set_env, s.namespace, s.deployment, audit.FALLBACK, "true"),
    )
    plan = Plan(
        title="Enable the audit fallback buffer",
        why=why,
        commands=tuple(step.shell for step in steps),
        undo=operation.later(kube.set_env, s.namespace, s.deployment, audit.FALLBACK, before).shell,
    )
    with operation.dry_run(dry_run):
        if dry_run:
            for step in steps:
                step.do()
            return Completed(name="Dry run", message="Nothing was asked and nothing was written.")
        return _prove(datetime.now(UTC), "It was enabled before.", plan) if before == "true" else _enable(plan, steps)


def _enable(plan: Plan, steps: tuple[operation.Step, ...]) -> State[str]:
    if approvals.first_asked(plan):
        _announce(plan)
    try:
        decision = approvals.decide(plan)
    except NotApproved as no:
        return Failed(name="Not approved", message=str(no))
    since = datetime.now(UTC)
    for step in steps:
        step.do()
    return _prove(since, f"Approved by {decision.approver}.", plan)


def _announce(plan: Plan) -> None:
    commands = "\n".join(plan.commands)
    try:
        slack.post(
            settings().slack_channel,
            f":raised_hand: *{plan.title}?* {plan.why}\n```{commands}```\nUndo: `{plan.undo}`\n"
            f"Answer in the <{runtime.flow_run.ui_url}|Prefect UI>, or: "
            f"`aegis approve {runtime.flow_run.id} --as YOU --reason WHY`. Plan `{plan.hash}`; silence counts as a no.",
        )
    except Exception as error:  # noqa: BLE001  # Slack's trouble must not keep the question from being asked
        print(f"not announced in Slack: {type(error).__name__}; the plan waits in the Prefect UI all the same")


def _prove(since: datetime, how: str, plan: Plan) -> State[str]:
    """It works when every pod runs with it, events are safe (buffered, or in S3 again), and errors stop growing."""
    s = settings()
    within = timedelta(seconds=s.verify_seconds)
    safe = f'{{__name__=~"aegis_audit_(buffered|written)_events_total",namespace="{s.namespace}"}}'
    errors = f'aegis_audit_write_errors_total{{namespace="{s.namespace}"}}'
    quiet = f"no write error for {s.settle_seconds:g} s"
    try:
        wait_until(kube.rolled_out, s.namespace, s.deployment, within=within, what="every pod runs with the fallback")
        wait_until(prometheus.grew, safe, since, within=within, what="events are buffered or written")
        wait_until(prometheus.quiet_for, errors, s.settle_seconds, within=within, what=quiet)
    except TooLate as late:
        return Failed(name="Not verified", message=f"{late} The fallback is enabled. To take it back: {plan.undo}")
    return Completed(name="Verified", message=f"Events are safe and errors have stopped. {how}")
