"""An attributed yes or no to one plan. The run suspends: no process waits, and a restart loses nothing.

A resumed run starts again from its top and asks again for the same plan; only then is it given the answer. If the
plan has changed meanwhile (its hash differs), the old answer does not fit it and people are asked anew.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from prefect import runtime
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateName,
)
from prefect.client.schemas.objects import FlowRun
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from pydantic import Field

from aegis_flows import directory
from aegis_flows.domain import Decision, Plan
from aegis_flows.errors import BadInput, NotApproved, Refused
from aegis_flows.operation import folded
from aegis_flows.settings import settings

ARTIFACT = "decision"
ASKS = 5
"""How often an unusable answer is asked again before the run gives up as not approved."""


class ApprovalForm(RunInput):
    """The form in the Prefect UI."""

    decision: Literal["approve", "decline"] = Field(
        description="Approve runs the commands above. Decline runs nothing."
    )
    approver: str = Field(description="Your e-mail address, as it stands in deployments/directory.yaml.")
    reason: str = Field(description="Why, in a sentence; it is written into the incident.")
    channel: str = Field("Prefect UI", description="Where this decision was taken.")


def decide(plan: Plan) -> Decision:
    """The decision about this plan; suspends the run until there is one. NotApproved when it is a no."""
    for nth in range(1, ASKS + 1):
        form = _ask(plan, f"{plan.hash}-{nth}")
        if problem := unusable(form):
            print(f"this answer does not count: {problem}")
            continue
        decision = Decision(
            approved=form.decision == "approve",
            approver=form.approver.strip(),
            reason=form.reason.strip(),
            channel=form.channel,
            at=_answered_at(),
            plan_hash=plan.hash,
        )
        _record(plan, decision)
        if not decision.approved:
            raise NotApproved(f"{decision.approver} declined: {decision.reason}")
        if datetime.now(UTC) - decision.at > timedelta(seconds=settings().approval_seconds):
            raise NotApproved(f"{decision.approver} agreed at {decision.at:%H:%M} UTC; that is too long ago to act on.")
        return decision
    raise NotApproved(f"Nobody who may approve answered within {ASKS} answers.")


def unusable(form: ApprovalForm) -> str:
    """Why this answer is no decision, empty when it is one. Unnamed, unknown and silent are all no."""
    if form.decision not in ("approve", "decline"):
        return "neither approve nor decline was chosen"
    if not (form.approver or "").strip():
        return "the approver is not named"
    if not directory.read().may_approve(form.approver):
        return "the approver is not somebody in the directory whose team may approve"
    if not (form.reason or "").strip():
        return "the reason is empty"
    return ""


def form_text(plan: Plan, expires: datetime) -> str:
    """The plan as people see it above the form."""
    commands = "\n\n".join(folded(line) for line in plan.commands)
    return (
        f"## {plan.title}\n\n{plan.why}\n\n```sh\n{commands}\n```\n\n**Undo**\n\n```sh\n{folded(plan.undo)}\n```\n\n"
        f"Plan `{plan.hash}`. No answer by {expires:%H:%M:%S} UTC counts as a no."
    )


def first_asked(plan: Plan) -> bool:
    """Whether this run has not yet asked about this plan: announce it to people only once."""
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(UUID(str(runtime.flow_run.id)))
    return f"{plan.hash}-1" not in (run.empirical_policy.pause_keys or set())


def inherited(run_id: UUID, incident: str | None, covers: Iterable[str]) -> Decision:
    """The approval that a run for the same incident was given for a plan with one of these commands.

    It is good for as long as tries are made; NotApproved when it is older, or never was.
    """
    with get_client(sync_client=True) as client:
        row = _recorded(client, run_id)
        same = client.read_flow_run(run_id).parameters.get("incident") == incident
    wanted = tuple(covers)
    if not (row and same and row["approved"] and any(c in line for c in wanted for line in row["commands"])):
        raise NotApproved(f"Run {run_id} was not given an approval that covers this.")
    decision = Decision.model_validate({k: v for k, v in row.items() if k in Decision.model_fields})
    good_for = timedelta(seconds=settings().approval_seconds + settings().migration_tries * _between_tries())
    if datetime.now(UTC) - decision.at > good_for:
        raise NotApproved(f"The approval of run {run_id} is older than {good_for}.")
    return decision


def _between_tries() -> float:
    return settings().migration_delay_seconds + 4 * settings().verify_seconds


def answer(run_id: UUID, decision: Literal["approve", "decline"], approver: str, reason: str, channel: str) -> str:
    """Give a suspended run its answer; the run's name. BadInput or Refused when it can't be taken."""
    form = ApprovalForm(decision=decision, approver=approver, reason=reason, channel=channel)
    if problem := unusable(form):
        raise BadInput(f"Not sent: {problem}.", advice="Use --as with an address from deployments/directory.yaml.")
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(run_id)
        if not (run.state and run.state.is_paused()):
            state = run.state.name if run.state else "unknown"
            raise Refused(
                f"Run {run.name} does not wait for an approval; it is {state}.", advice="See: aegis approvals"
            )
        result = client.resume_flow_run(run_id, run_input=form.model_dump(mode="json"))
    if result.status.value != "ACCEPT":
        raise Refused(f"Prefect did not take the answer: {getattr(result.details, 'reason', result.status.value)}")
    return run.name


def waiting() -> list[FlowRun]:
    """The runs that wait for somebody's decision."""
    with get_client(sync_client=True) as client:
        suspended = FlowRunFilterState(name=FlowRunFilterStateName(any_=["Suspended"]))
        return client.read_flow_runs(flow_run_filter=FlowRunFilter(state=suspended))


def plan_of(run: FlowRun) -> str:
    """The text above the form of a suspended run: its plan with the commands."""
    keyset = run.state.state_details.run_input_keyset if run.state else None
    if not keyset:
        return "(this run does not say what it asks)"
    with get_client(sync_client=True) as client:
        answer = client.request(
            "GET", "/flow_runs/{id}/input/{key}", path_params={"id": run.id, "key": keyset["description"]}
        )
    return str(answer.json())


def _ask(plan: Plan, key: str) -> ApprovalForm:
    expires = _expiry()
    left = max(int((expires - datetime.now(UTC)).total_seconds()), 1)
    form = ApprovalForm.with_initial_data(description=form_text(plan, expires))
    return suspend_flow_run(wait_for_input=form, timeout=left, key=key)


def _expiry() -> datetime:
    """Counted from the run's first start, so that neither a restart nor a bad answer prolongs it."""
    with get_client(sync_client=True) as client:
        started = client.read_flow_run(UUID(str(runtime.flow_run.id))).start_time
    return (started or datetime.now(UTC)) + timedelta(seconds=settings().approval_seconds)


def _answered_at() -> datetime:
    """When the run was resumed last, by Prefect's clock."""
    with get_client(sync_client=True) as client:
        states = client.read_flow_run_states(UUID(str(runtime.flow_run.id)))
    return max((s.timestamp for s in states if s.name == "Resuming"), default=datetime.now(UTC))


def _record(plan: Plan, decision: Decision) -> None:
    row = decision.model_dump(mode="json") | {"commands": list(plan.commands)}
    create_table_artifact(
        table=[row], key=ARTIFACT, description=f"{plan.title}: {decision.approver} said {decision.approved}"
    )


def _recorded(client: SyncPrefectClient, run_id: UUID) -> dict[str, Any] | None:
    found = client.read_artifacts(
        artifact_filter=ArtifactFilter(
            flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]), key=ArtifactFilterKey(any_=[ARTIFACT])
        ),
    )
    newest = max(found, key=lambda a: a.created or datetime.min.replace(tzinfo=UTC), default=None)
    return json.loads(str(newest.data))[0] if newest else None
