"""A game-day: the chosen drills one after the other, and what they told."""

from typing import Annotated, Any
from uuid import UUID

from prefect import flow, runtime, tags
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from aegis_flows import history, report
from aegis_flows.drills import DrillName
from flows.exercises.audit_backend_fail import Variant, audit_backend_fail

ALL = list(DrillName)


def _name() -> str:
    started = runtime.flow_run.scheduled_start_time
    return f"game-day {started:%Y-%m-%d %H:%M:%S}"


@flow(name="Game-day", log_prints=True, flow_run_name=_name)
def gameday(
    drills: Annotated[list[DrillName], Field(min_length=1)] = ALL,  # Prefect shows it as the form's default
    deadline_minutes: Annotated[float, Field(gt=0, le=120)] = 20,
    dry_run: bool = False,
) -> State[str]:
    """Rehearse the runbook in staging: break it for real, watch, time, put everything back, and report.

    Args:
        drills: Which drills to run, in this order.
        deadline_minutes: When each drill's fault is put back at the latest, whatever has died by then.
        dry_run: Check the target and show what would be broken; break nothing.

    """
    run_id = UUID(str(runtime.flow_run.id))
    with tags(f"gameday:{run_id}"):
        ended = [_run(drill, deadline_minutes, dry_run) for drill in drills]
    day = history.game_day(run_id)
    create_markdown_artifact(report.markdown(day), key="ledger", description="Stamps and timings of this game-day")
    told = ", ".join(f"{d.exercise}/{d.variant} {d.verdict}" for d in day.drills)
    if dry_run and all(state.name == "Dry run" for state in ended):
        return Completed(name="Dry run", message=told)
    return Completed(name="Held", message=told) if day.held else Failed(name="Not held", message=told)


def _run(drill: DrillName, deadline_minutes: float, dry_run: bool) -> State[Any]:
    variant = Variant(drill.split("/")[1])
    print(f"drill {drill} begins")
    state: State[Any] = audit_backend_fail(variant, deadline_minutes, dry_run, return_state=True)
    return state
