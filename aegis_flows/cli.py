"""`aegis`: run a game-day, decide about a plan, read the ledger, keep a lab.

What imports Prefect is imported after `connect`: Prefect reads its settings when it is imported.
"""

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal
from uuid import UUID

from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number
from cyclopts.validators import Path as PathIs

from aegis_flows.drills import chosen
from aegis_flows.errors import BadInput
from aegis_flows.explained import explain
from aegis_flows.lab.commands import app as lab_app
from aegis_flows.lab.connection import connect, running

MOST_MINUTES = 120
MOST_GAME_DAYS = 200  # what Prefect gives in one answer

app = App(
    name="aegis",
    help="The on-call runbook of Aegis: rehearsed, timed, and run.",
    help_epilogue="Settings come from AEGIS_… environment variables; without them, from the lab of this folder.",
    help_format="plaintext",  # Markdown costs 0.1 s at each start
    version_flags=["--version"],
    exit_on_error=False,
    print_error=False,
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
app.command(lab_app)

Drills = Annotated[list[str] | None, Parameter(consume_multiple=True)]
Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Folder = Annotated[Path, Parameter(validator=PathIs(file_okay=False))]
REPORTS = Path("reports")


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or whatever else tells a process to end in good order."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


@app.command
def gameday(
    drills: Drills = None,
    /,
    *,
    dry_run: Flag = False,
    deadline: Annotated[float, Parameter(validator=Number(gt=0, lte=MOST_MINUTES))] = 20,
    keep: Flag = False,
    responder: bool | None = None,
    reports: Folder = REPORTS,
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
        Minutes after which each fault is put back, whatever has died by then; 120 at most.
    keep
        Leave a lab that this command started running.
    responder
        Whether somebody in the lab acknowledges and approves, or you do it yourself. When left out: as the lab has it.
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
    connect()
    from aegis_flows import approvals as asked

    found = asked.waiting()
    for run in found:
        print(f"{run.id}  {run.name}\n{asked.plan_of(run)}\n")
    if not found:
        print("Nothing waits for a decision.")


@app.command
def approve(run: UUID, /, *, as_: Annotated[str, Parameter("--as")], reason: str) -> None:
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
def decline(run: UUID, /, *, as_: Annotated[str, Parameter("--as")], reason: str) -> None:
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
    /,
    *,
    json: Flag = False,
    csv: Flag = False,
    last: Annotated[int, Parameter(validator=Number(gte=1, lte=MOST_GAME_DAYS))] = 1,
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
        How many game-days, the newest first; 200 at most.

    """
    if json and csv:
        raise BadInput("Both --json and --csv were given.", advice="Choose one.")
    connect()
    from aegis_flows import export

    print(export.ledger(run, last, "json" if json else "csv" if csv else "table"), end="")


@app.command
def report(run: UUID | None = None, /, *, reports: Folder = REPORTS) -> None:
    """Write the HTML report of a game-day again, from history.

    Parameters
    ----------
    run
        A game-day's run id; the newest when left out.
    reports
        Folder for the report.

    """
    connect()
    from aegis_flows import export
    from aegis_flows import report as reporting

    [day] = export.days(run, 1)
    print(f"Report: {reporting.write(day, reports)}")


def _answer(run: UUID, decision: Literal["approve", "decline"], who: str, reason: str) -> None:
    connect()
    from aegis_flows import approvals as asked

    name = asked.answer(run, decision, who, reason, "aegis command line")
    print(f"{name}: {decision}d as {who}.")


def main() -> None:
    """Exit code 0 done, 1 not held or failed, 2 wrong use, 128 and the signal's number when interrupted."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _interrupt)
    try:
        code = app()
        sys.stdout.flush()
    except CycloptsError as error:
        words = " ".join(["aegis", *(error.command_chain or ())])
        _complain(f"{str(error).rstrip('.')}. See: {words} --help", 2)
    except KeyboardInterrupt as interrupted:
        sys.exit(interrupted.code if isinstance(interrupted, Interrupted) else 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at its own end
        sys.exit(1)
    except Exception as error:
        if (told := explain(error)) is None:
            raise
        _complain(str(told), 2 if isinstance(told, BadInput) else 1)
    sys.exit(code if isinstance(code, int) else 0)


def _interrupt(number: int, _: FrameType | None) -> None:
    raise Interrupted(number)


def _complain(sentence: str, code: int) -> None:
    print(f"aegis: {sentence}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
