"""The ledger as text: a table for people, JSON and CSV for machines. The same history gives the same bytes."""

import csv
import io
import json
from typing import Any, Literal
from uuid import UUID

from aegis_flows import history
from aegis_flows.errors import BadInput
from aegis_flows.ledger import Drill, GameDay

Form = Literal["table", "json", "csv"]
COLUMNS = ("game_day", "exercise", "variant", "verdict", "kind", "name", "at", "seconds", "source", "evidence", "by")


def days(run: UUID | None, last: int) -> list[GameDay]:
    """The game-day asked for, or the newest ones; BadInput when there is none."""
    found = [history.game_day(run)] if run else history.game_days(last)
    if not found:
        raise BadInput("There is no game-day in Prefect's history yet.", advice="Run one: aegis gameday")
    return found


def ledger(run: UUID | None, last: int, form: Form) -> str:
    found = days(run, last)
    return {"json": _json, "csv": _csv, "table": _table}[form](found)


def _json(found: list[GameDay]) -> str:
    return json.dumps([_told(day) for day in found], indent=2) + "\n"


def _told(day: GameDay) -> dict[str, Any]:
    drills = [d.model_dump(mode="json", exclude={"spans"}) | {"durations": _durations(d)} for d in day.drills]
    return day.model_dump(mode="json", exclude={"drills"}) | {"drills": drills}


def _durations(drill: Drill) -> list[dict[str, Any]]:
    return [d.model_dump(mode="json") for d in drill.durations]


def _csv(found: list[GameDay]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for day in found:
        for drill in day.drills:
            same = {
                "game_day": day.name,
                "exercise": drill.exercise,
                "variant": drill.variant,
                "verdict": drill.verdict,
            }
            for s in drill.stamps:
                row = {"kind": "stamp", "name": s.name.value, "at": s.at.isoformat(), "source": s.source}
                writer.writerow(same | row | {"evidence": s.evidence, "by": s.by})
            for d in drill.durations:
                seconds = "unproven" if d.seconds is None else d.seconds
                writer.writerow(same | {"kind": "duration", "name": d.name, "seconds": seconds, "evidence": d.unproven})
    return out.getvalue()


def _table(found: list[GameDay]) -> str:
    from rich.console import Console

    from aegis_flows import report

    console = Console()
    with console.capture() as captured:
        for day in found:
            console.print(report.table(day))
    return captured.get()
