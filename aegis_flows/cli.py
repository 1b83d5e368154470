"""`aegis`: run a game-day, decide about a plan, read the ledger, keep a lab.

What imports Prefect is imported inside `connected`: Prefect reads its settings when it is imported.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

from cyclopts import App, Parameter

from aegis_flows.drills import chosen
from aegis_flows.errors import AegisError, BadInput, Unreachable
from aegis_flows.lab.commands import app as lab_app
from aegis_flows.lab.commands import connected, running

app = App(
    name="aegis",
    help="The on-call runbook of Aegis: rehearsed, timed, and run.",
    help_epilogue="Settings come from AEGIS_… environment variables; without them, from the lab of this folder.",
    version_flags=["--version"],
)
app.command(lab_app)

Drills = Annotated[list[str] | None, Parameter(consume_multiple=True)]
REPORTS = Path("reports")


@app.command
def gameday(
    drills: Drills = None,
    /,
    *,
    dry_run: bool = False,
    deadline: float = 20,
    keep: bool = False,
    responder: bool = True,
    reports: Path = REPORTS,
) -> int:
    """Run a game-day in staging, show it as it goes, and write its report. Ends with 0 only when every drill held.

    Without settings for a staging of your own it runs in the lab, which is started if need be.

    Parameters
    ----------
    drills
        Which drills, as EXERCISE or EXERCISE/VARIANT, e.g. audit_backend_fail/kms. All when left out.
    dry_run
        Check the target and show the commands; break nothing.
    deadline
        Minutes after which each fault is put back, whatever has died by then.
    keep
        Leave a lab that this command started running.
    responder
        Whether somebody in the lab acknowledges and approves; with --no-responder you do it yourself.
    reports
        Folder for the report.

    """
    wanted = chosen(drills or [])
    with running(keep=keep, responder=responder):
        from aegis_flows import follow

        day = follow.game_day(wanted, deadline, dry_run=dry_run)
        return follow.conclude(day, reports, dry_run=dry_run)


@app.command
def approvals() -> None:
    """The plans that wait for a decision, with their commands."""
    with connected():
        from aegis_flows import approvals as asked

        found = asked.waiting()
        for run in found:
            print(f"{run.id}  {run.name}\n{asked.plan_of(run)}\n")
    if not found:
        print("Nothing waits for a decision.")


@app.command
def approve(run: UUID, *, as_: Annotated[str, Parameter("--as")], reason: str) -> None:
    """Approve the plan of a suspended run.

    Parameters
    ----------
    run
        The run's id, as `aegis approvals` and the Slack message show it.
    as_
        Your e-mail address, as it stands in deployments/directory.yaml.
    reason
        Why; it is written into the run's history.

    """
    _answer(run, "approve", as_, reason)


@app.command
def decline(run: UUID, *, as_: Annotated[str, Parameter("--as")], reason: str) -> None:
    """Decline the plan of a suspended run; nothing will be changed.

    Parameters
    ----------
    run
        The run's id, as `aegis approvals` and the Slack message show it.
    as_
        Your e-mail address, as it stands in deployments/directory.yaml.
    reason
        Why; it is written into the run's history.

    """
    _answer(run, "decline", as_, reason)


@app.command
def ledger(
    run: UUID | None = None,
    *,
    json: bool = False,
    csv: bool = False,
    last: int = 1,
) -> None:
    """Timings, read back from Prefect's run history.

    Parameters
    ----------
    run
        A game-day's run id; the newest when left out.
    json
        As JSON.
    csv
        As CSV, a row per stamp and per duration.
    last
        How many game-days, the newest first.

    """
    if json and csv:
        raise BadInput("Both --json and --csv were given.", advice="Choose one.")
    with connected():
        from aegis_flows import export

        print(export.ledger(run, last, "json" if json else "csv" if csv else "table"), end="")


@app.command
def report(run: UUID | None = None, *, reports: Path = REPORTS) -> None:
    """Write the HTML report of a game-day again, from history.

    Parameters
    ----------
    run
        A game-day's run id; the newest when left out.
    reports
        Folder for the report.

    """
    with connected():
        from aegis_flows import export
        from aegis_flows import report as reporting

        [day] = export.days(run, 1)
        print(f"Report: {reporting.write(day, reports)}")


def _answer(run: UUID, decision: Literal["approve", "decline"], who: str, reason: str) -> None:
    with connected():
        from aegis_flows import approvals as asked

        name = asked.answer(run, decision, who, reason, "aegis command line")
    print(f"{name}: {decision}d as {who}.")


def main() -> None:
    """Exit code 0 done, 1 not held or failed, 2 wrong use, 130 interrupted."""
    # Without it Prefect would start a server of its own where none is configured, and the answer would be empty.
    os.environ.setdefault("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "false")
    try:
        code = app()
    except AegisError as error:
        print(f"aegis: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, BadInput) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if unreachable := _unreachable(error):
            print(f"aegis: {unreachable}", file=sys.stderr)
            sys.exit(1)
        raise
    sys.exit(code if isinstance(code, int) else 0)


def _unreachable(error: Exception) -> Unreachable | None:
    """Prefect, or whatever else was called, did not answer at all."""
    if type(error).__module__.split(".")[0] not in {"httpx", "httpcore"} and "Failed to reach API" not in str(error):
        return None
    where = os.environ.get("PREFECT_API_URL", "PREFECT_API_URL, which is not set")
    return Unreachable(
        f"No answer from Prefect at {where} ({type(error).__name__}).", advice="Is it up? aegis lab status"
    )


if __name__ == "__main__":
    main()
