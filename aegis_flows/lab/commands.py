"""`aegis lab`: staging on one machine."""

import os
import shlex
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from aegis_flows.errors import BadInput, Refused, TooLate
from aegis_flows.lab import connection, state, surroundings

PORTS = 65535

app = App(name="lab", help="An embedded staging: everything the runbook touches, on this machine.")


@app.command
def up(
    *,
    responder: bool = True,
    port: Annotated[list[str] | None, Parameter(negative="")] = None,
    kept: Annotated[bool, Parameter(show=False, negative="")] = False,
) -> None:
    """Start the lab and keep it until Ctrl-C or `aegis lab down`; nothing is left running.

    Parameters
    ----------
    responder
        Whether somebody in the lab acknowledges and approves; with --no-responder you do it yourself.
    port
        NAME=NUMBER for a part that must have a certain port, e.g. prefect=4200; may be repeated.
    kept
        Said by `aegis gameday --keep`: whoever starts this lab goes before it ends.

    """
    wanted = _ports(port or [])
    try:
        from aegis_flows.lab import launch
    except ModuleNotFoundError as error:
        raise Refused(
            f"The lab needs the package {error.name}, which is not installed.",
            advice="Run: pip install 'aegis-flows[lab]'",
        ) from None
    launch.up(state.folder(), Path.cwd(), wanted, responder=responder, kept=kept)


@app.command
def status() -> int:
    """Each part of the lab and whether it is healthy. Ends with 0 when everything is up."""
    told = state.read()
    if told is None:
        print("No lab is running here. Start one: aegis lab up")
        return 1
    for name, part in told["parts"].items():
        mark = "healthy" if part["healthy"] else "starting"
        print(f"{name:14} {mark:9} {part['seconds']:6.1f} s  {told['urls'].get(name, '')}".rstrip())
    on_call = "nobody" if state.off_switch(state.folder()).exists() else "somebody"
    print(f"The lab is {told['state']} (process {told['pid']}); {on_call} is on call.")
    return 0 if told["state"] == "up" else 1


@app.command
def logs(part: str | None = None, /, *, lines: Annotated[int, Parameter(validator=Number(gte=1))] = 40) -> None:
    """The last lines of a part's log, or of all of them.

    Parameters
    ----------
    part
        Name of the part, as `aegis lab status` shows it; all of them when left out.
    lines
        How many lines of each.

    """
    files = {path.stem: path for path in sorted((state.folder() / "logs").glob("*.log"))}
    if not files:
        raise BadInput("There are no logs here.", advice="Start the lab: aegis lab up")
    if part is not None and part not in files:
        raise BadInput(f"The lab has no log of {part!r}.", advice=f"There is: {', '.join(files)}.")
    for name in [part] if part else files:
        for line in files[name].read_text(errors="replace").splitlines()[-lines:]:
            print(f"{name:14} {line}")


@app.command
def down() -> None:
    """Stop the lab of this folder; returns when nothing of it runs any more."""
    told = state.read()
    if told is None:
        print("No lab is running here.")
        return
    with suppress(ProcessLookupError):
        os.kill(told["pid"], signal.SIGTERM)
    deadline = time.monotonic() + state.DOWN_WITHIN
    while state.alive(told["pid"], told["started"]):
        if time.monotonic() > deadline:
            raise TooLate(
                f"The lab (process {told['pid']}) did not stop within {state.DOWN_WITHIN:.0f} s.",
                advice=f"Look at it: aegis lab status. Or end it hard: kill -9 {told['pid']}",
            )
        time.sleep(0.1)
    print("The lab is stopped.")


@app.command
def env() -> None:
    """The lab's settings as shell lines: after eval "$(aegis lab env)" kubectl, aws and prefect talk to the lab."""
    state.found()
    settings = connection.lab_settings() | surroundings.without_proxy(os.environ)
    if leading_elsewhere := [name for name in surroundings.foreign(os.environ) if name not in settings]:
        print(f"unset {' '.join(leading_elsewhere)}")
    print("\n".join(f"export {name}={shlex.quote(value)}" for name, value in settings.items()))


@app.command
def responder(to: Literal["on", "off"], /) -> None:
    """Call the lab's person on call back (on), or send them away (off).

    Parameters
    ----------
    to
        on: somebody acknowledges and approves. off: nobody does, you do it yourself.

    """
    state.found()
    connection.call(to == "on")
    if to == "on":
        print("Somebody is on call in the lab: they acknowledge and approve.")


def _ports(asked: list[str]) -> dict[str, int]:
    from aegis_flows.lab.ports import USUAL

    ports = {}
    for text in asked:
        name, _, number = text.partition("=")
        if name not in USUAL or not number.isdecimal() or not 0 < int(number) <= PORTS:
            raise BadInput(
                f"--port {text!r} is not NAME=NUMBER.",
                advice=f"Names are: {', '.join(USUAL)}; numbers go from 1 to {PORTS}.",
            )
        ports[name] = int(number)
    return ports
