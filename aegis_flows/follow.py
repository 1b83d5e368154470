"""A game-day followed from the command line: started as a run of its deployment, shown while it goes."""

import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags, LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import FlowRun, Log
from prefect.client.schemas.sorting import LogSort
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling

from aegis_flows import history, report
from aegis_flows.errors import BadInput, Refused, TooLate
from aegis_flows.ledger import GameDay

DEPLOYMENT = "Game-day/game-day"
LOOK = 0.7
QUIET = ("read $", "Finished in state", "Beginning ", "Created ")
"""What the command line leaves to the Prefect UI."""
CANCEL_WITHIN = 60.0
LAST_LOGS = 6.0
"""Seconds after its end in which a run's last log lines may still arrive: Prefect sends them in batches."""


def game_day(drills: Sequence[str], deadline: float, *, dry_run: bool) -> GameDay:
    """Start it and show its log until it ends. Ctrl-C cancels it, and waits until everything is put back."""
    with get_client(sync_client=True) as client:
        run = _start(client, {"drills": list(drills), "deadline_minutes": deadline, "dry_run": dry_run})
        print(f"Game-day {run.name}: {', '.join(drills)}\n{history.ui_url(run.id)}", flush=True)
        try:
            _show(client, run.id)
        except KeyboardInterrupt:
            _cancel(client, run.id)
            raise
        ended = client.read_flow_run(run.id)
    if ended.start_time is None:
        told = (ended.state.message or ended.state.name) if ended.state else "no state"
        raise Refused(f"The game-day was not started: {told}.", advice="One runs at a time; see the Prefect UI.")
    return history.game_day(run.id)


def conclude(day: GameDay, reports: Path, *, dry_run: bool) -> int:
    """Print the timings, say where the report is; 0 when every drill held (or nothing was meant to be broken)."""
    from rich.console import Console

    if dry_run:
        print("Dry run: nothing was broken, so nothing is timed.")
        return 0 if day.state == "Dry run" else 1
    Console().print(report.table(day))
    print(f"Report: {report.write(day, reports)}")
    return 0 if day.held else 1


def _start(client: SyncPrefectClient, parameters: dict[str, object]) -> FlowRun:
    try:
        deployment = client.read_deployment_by_name(DEPLOYMENT)
    except ObjectNotFound:
        raise BadInput(
            f"Prefect does not know the deployment {DEPLOYMENT}.", advice="Run: prefect deploy --all"
        ) from None
    return client.create_flow_run_from_deployment(deployment.id, parameters=parameters)


def _show(client: SyncPrefectClient, run_id: UUID) -> None:
    """Until the run is final and its last log line has arrived; logs come a moment later than states."""
    seen: set[UUID] = set()
    last = None
    while last is None or (time.monotonic() < last and not _said_its_last(client, run_id)):
        state = client.read_flow_run(run_id).state
        if state and state.is_final() and last is None:
            last = time.monotonic() + LAST_LOGS
        _print_news(client, run_id, seen)
        time.sleep(LOOK)
    _print_news(client, run_id, seen)


def _said_its_last(client: SyncPrefectClient, run_id: UUID) -> bool:
    mine = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id]))
    newest = client.read_logs(log_filter=mine, sort=LogSort.TIMESTAMP_DESC, limit=5)
    return any(log.message.startswith("Finished in state") for log in newest)


def _print_news(client: SyncPrefectClient, run_id: UUID, seen: set[UUID]) -> None:
    for log in _news(client, run_id, seen):
        print(f"{log.timestamp:%H:%M:%S}  {log.message.splitlines()[0]}", flush=True)


def _news(client: SyncPrefectClient, run_id: UUID, seen: set[UUID]) -> list[Log]:
    """What the drills have said since the last look; reads are left to the Prefect UI."""
    drills = client.read_flow_runs(flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=[f"gameday:{run_id}"])))
    logs = client.read_logs(
        log_filter=LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id, *(d.id for d in drills)])),
        sort=LogSort.TIMESTAMP_DESC,
        limit=200,
    )
    new = [log for log in reversed(logs) if log.id not in seen]
    seen.update(log.id for log in new if log.id)
    return [log for log in new if not log.message.startswith(QUIET)]


def _cancel(client: SyncPrefectClient, run_id: UUID) -> None:
    print(
        "Cancelling; waiting until everything is put back. Ctrl-C again leaves that to the deadline.", file=sys.stderr
    )
    signal.signal(signal.SIGINT, signal.default_int_handler)
    client.set_flow_run_state(run_id, Cancelling())
    deadline = time.monotonic() + CANCEL_WITHIN
    while time.monotonic() < deadline:
        state = client.read_flow_run(run_id).state
        if state and state.is_final():
            return
        time.sleep(LOOK)
    raise TooLate(
        f"The run {run_id} was not cancelled within {CANCEL_WITHIN:.0f} s.",
        advice="Its faults are put back at their deadline; see configmap aegis-gameday-journal.",
    )
