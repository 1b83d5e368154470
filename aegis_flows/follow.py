"""A game-day followed from the command line: started as a run of its deployment, shown while it goes."""

import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags, LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import FlowRun, Log, State
from prefect.client.schemas.sorting import LogSort
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Cancelling

from aegis_flows import faults, history, report
from aegis_flows.errors import BadInput, Refused, TooLate, Unreachable
from aegis_flows.explained import explain
from aegis_flows.faults import Fault
from aegis_flows.ledger import GameDay

DEPLOYMENT = "Game-day/game-day"
HELD = "Held"
LOOK = 0.7
QUIET = ("read $", "Finished in state", "Beginning ", "Created ")
"""What the command line leaves to the Prefect UI."""
TAKEN_WITHIN = 120.0
"""Seconds in which a worker must have taken the run: the slowest stock worker looks every 15 s."""
AROUND = 75.0
"""Minutes that a drill may take beside its fault: until all is steady before, and migrated and resolved after."""
CANCEL_WITHIN = 60.0
PUT_BACK_WITHIN = 10.0
"""Seconds after the run's end in which the last fault may still be on its way back."""
LAST_LOGS = 6.0
"""Seconds after its end in which a run's last log lines may still arrive: Prefect sends them in batches."""


def game_day(drills: Sequence[str], deadline: float, *, dry_run: bool) -> GameDay:
    """Start it and show its log until it ends. Ctrl-C cancels it, waits for the end and says what is still broken."""
    with get_client(sync_client=True) as client:
        run = _start(client, {"drills": list(drills), "deadline_minutes": deadline, "dry_run": dry_run})
        try:
            print(f"Game-day {run.name}: {', '.join(drills)}\n{history.ui_url(run.id)}", flush=True)
            _show(client, run.id, minutes=len(drills) * (deadline + AROUND))
        except (KeyboardInterrupt, BrokenPipeError):  # nobody reads any more, as when the terminal is closed
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
    if day.held and day.state == HELD:
        return 0
    print(f"The game-day did not hold: it ended as {day.state}.", file=sys.stderr)
    return 1


def _start(client: SyncPrefectClient, parameters: dict[str, object]) -> FlowRun:
    try:
        deployment = client.read_deployment_by_name(DEPLOYMENT)
    except ObjectNotFound as error:
        told = explain(error)
        if isinstance(told, Unreachable):
            raise told from None
        raise BadInput(
            f"Prefect does not know the deployment {DEPLOYMENT}.", advice="Run: prefect deploy --all"
        ) from None
    return client.create_flow_run_from_deployment(deployment.id, parameters=parameters)


def _show(client: SyncPrefectClient, run_id: UUID, *, minutes: float) -> None:
    """Until the run is final and its last log line has arrived; TooLate when nobody can be at work on it any more."""
    seen: set[UUID] = set()
    began = time.monotonic()
    while not _final(state := _state(client, run_id)):
        _print_news(client, run_id, seen)
        _in_time(client, run_id, state, time.monotonic() - began, minutes)
        time.sleep(LOOK)
    _until(lambda: _said_its_last(client, run_id), LAST_LOGS)
    _print_news(client, run_id, seen)


def _in_time(client: SyncPrefectClient, run_id: UUID, state: State | None, waited: float, minutes: float) -> None:
    if state and state.is_scheduled() and waited > TAKEN_WITHIN:
        client.set_flow_run_state(run_id, Cancelled(message="No worker has taken it."), force=True)
        raise TooLate(
            f"No worker has taken the game-day within {TAKEN_WITHIN:.0f} s, so it was cancelled; nothing was changed.",
            advice="Start one: prefect worker start --pool aegis. In the lab, see: aegis lab logs worker",
        )
    if waited > minutes * 60:
        raise TooLate(
            f"The game-day has not ended within {minutes:.0f} min, more than its drills may take: "
            f"its worker has probably died. {still_open()}",
            advice=f"Look at its log and cancel it: {history.ui_url(run_id)}",
        )


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
    """Until it has ended, and what it has broken is back or said to be still broken."""
    _say("Cancelling; waiting until everything is put back. Ctrl-C again leaves that to the deadline.")
    state = _state(client, run_id)
    waits = state is None or state.is_scheduled()
    client.set_flow_run_state(run_id, Cancelled() if waits else Cancelling())
    if not _until(lambda: _final(_state(client, run_id)), CANCEL_WITHIN):
        raise TooLate(
            f"The run {run_id} was not cancelled within {CANCEL_WITHIN:.0f} s. {still_open()}",
            advice=f"See {history.ui_url(run_id)}",
        )
    _say(still_open())


def still_open() -> str:
    """What the journal holds open and until when, in words; looked up with the command line's own settings."""
    try:
        _until(lambda: not faults.open_faults(), PUT_BACK_WITHIN)
        found = faults.open_faults()
        told = [f"{fault.what} ({_until_when(fault)}; by hand: {fault.undo.shell})" for fault in found]
    except Exception as error:  # noqa: BLE001  # whatever keeps us from looking is worth a sentence, never a traceback
        why = str(explain(error) or f"{type(error).__name__}: {error}").splitlines()[0]
        return f"Whether everything is back could not be seen ({why}); look into configmap aegis-gameday-journal."
    return f"Still broken: {', '.join(told)}." if told else "Everything is back: the journal holds no open fault."


def _until_when(fault: Fault) -> str:
    if fault.until is None:
        return "nobody puts it back by himself"
    due = f"{fault.until:%H:%M:%S} UTC"
    return f"put back at {due} at the latest" if fault.until > datetime.now(UTC) else f"it was to be back at {due}"


def _state(client: SyncPrefectClient, run_id: UUID) -> State | None:
    return client.read_flow_run(run_id).state


def _final(state: State | None) -> bool:
    return state is not None and state.is_final()


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (true := condition()) and time.monotonic() < deadline:
        time.sleep(LOOK)
    return true


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
