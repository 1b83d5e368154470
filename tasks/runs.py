"""Prefect's own runs: start a mitigation as a run of its own deployment, and see how it ended."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Cancelled, Scheduled

from aegis_flows.operation import Operation, command, compact, operation
from tasks.kinds import action, probe


@action("start {deployment}")
@operation
def start(
    deployment: str,
    parameters: dict[str, Any],
    key: str,
    tags: list[str],
    delay: float | None = None,
) -> Operation[UUID]:
    """Start a run of a deployment, now or `delay` seconds later; the same key again answers with the run there is."""
    when = ["--start-in", f"{delay:g} seconds"] if delay else []
    given = [word for k, v in parameters.items() if v is not None for word in ("--param", f"{k}={compact(v)}")]
    return Operation(
        kind="write",
        shell=command("prefect", "deployment", "run", deployment, *given, *when),
        run=lambda _: _start(deployment, parameters, key, tags, delay),
    )


@probe("run {run_id}")
@operation
def run(run_id: UUID) -> Operation[FlowRun]:
    """A run as Prefect knows it now."""
    return Operation(shell=command("prefect", "flow-run", "inspect", str(run_id)), run=lambda _: _read(run_id))


@probe("runs tagged {tags}")
@operation
def tagged(tags: list[str], since: datetime) -> Operation[list[FlowRun]]:
    """The runs that carry all these tags and were created since then, oldest first."""
    return Operation(shell=command("prefect", "flow-run", "ls"), run=lambda _: _tagged(tags, since))


@action("call off {run_id}")
@operation
def call_off(run_id: UUID) -> Operation[None]:
    """Cancel a run that is scheduled and not needed any more."""
    return Operation(
        kind="write",
        shell=command("prefect", "flow-run", "cancel", str(run_id)),
        run=lambda _: _call_off(run_id),
    )


def ended(found: FlowRun) -> bool:
    return bool(found.state and found.state.is_final())


def _start(deployment: str, parameters: dict[str, Any], key: str, tags: list[str], delay: float | None) -> UUID:
    at = datetime.now(UTC) + timedelta(seconds=delay or 0)
    with get_client(sync_client=True) as client:
        return client.create_flow_run_from_deployment(
            client.read_deployment_by_name(deployment).id,
            parameters=parameters,
            state=Scheduled(scheduled_time=at),
            idempotency_key=key,
            tags=tags,
        ).id


def _call_off(run_id: UUID) -> None:
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run_id, Cancelled(message="It is not needed any more."), force=True)


def _read(run_id: UUID) -> FlowRun:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(run_id)


def _tagged(tags: list[str], since: datetime) -> list[FlowRun]:
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=tags)),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            limit=50,
        )
    return [r for r in reversed(found) if r.created and r.created >= since]
