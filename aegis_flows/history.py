"""The one reader of Prefect's API for timings: runs, tasks, artifacts and logs become the ledger's values."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterTags,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.client.schemas.objects import Artifact, FlowRun, Log, TaskRun
from prefect.client.schemas.sorting import ArtifactSort, FlowRunSort, LogSort, TaskRunSort
from prefect.settings import get_current_settings

from aegis_flows.errors import BadInput
from aegis_flows.ledger import FACT, VERDICT, Drill, GameDay, Span, in_order
from aegis_flows.stamps import Stamp

GAME_DAY = "Game-day"
EXERCISE = "Exercise: "
PAGE = 200
WRITE = "write $ "
WORTH_SHOWING = 0.3
"""Seconds from which a question has a bar of its own in the timeline."""

EPOCH = datetime.min.replace(tzinfo=UTC)

T = TypeVar("T")


def game_day(run_id: UUID) -> GameDay:
    """One game-day as history tells it, also while it still runs."""
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(run_id)
        if (flow := _flow_name(client, run)) != GAME_DAY:
            raise BadInput(
                f"Run {run.name} is one of {flow!r}, not a game-day.", advice="Leave the id out for the newest."
            )
        return _day(client, run)


def game_days(most: int = 20) -> list[GameDay]:
    """The newest game-days, newest first."""
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[GAME_DAY])), sort=FlowRunSort.START_TIME_DESC, limit=most
        )
        return [_day(client, run) for run in runs if run.start_time]


def _day(client: SyncPrefectClient, run: FlowRun) -> GameDay:
    exercises = _tagged(client, f"gameday:{run.id}")
    return GameDay(
        name=run.name,
        run_id=str(run.id),
        started=run.start_time or run.created or EPOCH,
        ended=run.end_time,
        state=run.state.name if run.state else "unknown",
        drills=tuple(_drill(client, one) for one in exercises),
        prefect_url=(get_current_settings().ui_url or "").rstrip("/"),
    )


def _drill(client: SyncPrefectClient, exercise: FlowRun) -> Drill:
    found = _artifacts(client, [exercise.id])
    rows = {key: [_row(a) for a in found if a.key == key] for key in {a.key for a in found}}
    told = rows.get(VERDICT, [{}])[-1]
    incident = _incident(client, exercise)
    runs = [exercise, *incident]
    return Drill(
        exercise=_flow_name(client, exercise).removeprefix(EXERCISE),
        variant=str(exercise.parameters.get("variant", "")),
        run_id=str(exercise.id),
        started=exercise.start_time or exercise.created or EPOCH,
        ended=exercise.end_time,
        verdict=told.get("verdict") or ("invalid" if exercise.state and exercise.state.is_final() else "running"),
        why=told.get("why") or (exercise.state.message or "" if exercise.state else ""),
        stamps=in_order(Stamp.model_validate(r[0]) for k, r in rows.items() if k and k.startswith("stamp-")),
        spans=_spans(client, runs),
        facts=tuple(str(a.data) for a in found if a.key == FACT),
        commands=tuple(_writes(client, runs)),
    )


def _incident(client: SyncPrefectClient, exercise: FlowRun) -> list[FlowRun]:
    """The playbook and mitigations of the incidents that the gateway opened while this exercise ran."""
    before = exercise.end_time
    playbooks = [
        run
        for run in _pages(
            lambda offset: client.read_flow_runs(
                flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=["playbook"])),
                sort=FlowRunSort.START_TIME_DESC,
                limit=PAGE,
                offset=offset,
            ),
            until=lambda run: bool(run.created and exercise.start_time and run.created < exercise.start_time),
        )
        if before is None or (run.created and run.created <= before)
    ]
    keys = {tag for run in playbooks for tag in run.tags if tag.startswith("incident:")}
    others = [run for key in sorted(keys) for run in _tagged(client, key) if "mitigation" in run.tags]
    inside = [r for r in others if r.created and exercise.start_time and r.created >= exercise.start_time]
    return sorted(
        [*playbooks, *(r for r in inside if before is None or r.created <= before)],  # type: ignore[operator]  # inside has only created ones
        key=lambda r: r.created or EPOCH,
    )


def _spans(client: SyncPrefectClient, runs: list[FlowRun]) -> dict[str, tuple[Span, ...]]:
    """A lane per flow: its tasks, or the run itself where it has none."""
    lanes: dict[str, list[Span]] = defaultdict(list)
    for run in runs:
        lane = _flow_name(client, run)
        tasks = _pages(
            lambda offset, run=run: client.read_task_runs(  # type: ignore[misc]  # the default binds the loop's run
                flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id])),
                sort=TaskRunSort.EXPECTED_START_TIME_ASC,
                limit=PAGE,
                offset=offset,
            )
        )
        lanes[lane] += [_span(t) for t in tasks if _shows(t)] or _alone(run)
    return {lane: tuple(spans) for lane, spans in lanes.items()}


def _alone(run: FlowRun) -> list[Span]:
    """A run without tasks, unless it was called off before it began."""
    called_off = run.state is not None and run.state.is_cancelled()
    return [_span(run)] if run.start_time and not called_off else []


def _shows(task: TaskRun) -> bool:
    """Writes always; of questions only those that took a while."""
    long = task.total_run_time.total_seconds() >= WORTH_SHOWING
    return task.start_time is not None and (long or "write" in task.tags)


def _span(run: FlowRun | TaskRun) -> Span:
    assert run.start_time is not None
    state = run.state.name if run.state else "unknown"
    owner = run.flow_run_id if isinstance(run, TaskRun) else run.id
    return Span(label=run.name or "", start=run.start_time, end=run.end_time, state=state, run_id=str(owner))


def _writes(client: SyncPrefectClient, runs: list[FlowRun]) -> Iterator[str]:
    """Every write that was made, as its command, in the order in which they were made."""
    logs: list[Log] = [
        log
        for run in runs
        for log in _pages(
            lambda offset, run=run: client.read_logs(  # type: ignore[misc]  # the default binds the loop's run
                log_filter=LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id])),
                sort=LogSort.TIMESTAMP_ASC,
                limit=PAGE,
                offset=offset,
            )
        )
        if log.message.startswith(WRITE)
    ]
    yield from (log.message.removeprefix(WRITE) for log in sorted(logs, key=lambda log: log.timestamp))


def _tagged(client: SyncPrefectClient, tag: str) -> list[FlowRun]:
    found = _pages(
        lambda offset: client.read_flow_runs(
            flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=[tag])),
            sort=FlowRunSort.EXPECTED_START_TIME_ASC,
            limit=PAGE,
            offset=offset,
        )
    )
    return list(found)


def _artifacts(client: SyncPrefectClient, run_ids: list[UUID]) -> list[Artifact]:
    found = _pages(
        lambda offset: client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=run_ids)),
            sort=ArtifactSort.UPDATED_DESC,
            limit=PAGE,
            offset=offset,
        )
    )
    return sorted(found, key=lambda a: (a.created or EPOCH, str(a.id)))


def _pages(page: Callable[[int], Iterable[T]], until: Callable[[T], bool] = lambda _: False) -> Iterator[T]:
    offset = 0
    while True:
        rows = list(page(offset))
        for row in rows:
            if until(row):
                return
            yield row
        if len(rows) < PAGE:
            return
        offset += PAGE


def _row(artifact: Artifact) -> dict[str, Any]:
    if artifact.type != "table":
        return {}
    rows: list[dict[str, Any]] = json.loads(str(artifact.data))
    return rows[0]


def _flow_name(client: SyncPrefectClient, run: FlowRun) -> str:
    return client.read_flow(run.flow_id).name


def ui_url(run_id: UUID) -> str:
    """Where people see a run."""
    return f"{(get_current_settings().ui_url or '').rstrip('/')}/runs/flow-run/{run_id}"
