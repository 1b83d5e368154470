"""`aegis lab`: staging on one machine. And where the other commands find it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from aegis_flows.errors import BadInput, Refused, TooLate

FOLDER = Path(os.environ.get("AEGIS_LAB_FOLDER", ".lab"))
UP_WITHIN = 180.0
DOWN_WITHIN = 30.0

app = App(name="lab", help="An embedded staging: everything the runbook touches, on this machine.")


@app.command
def up(*, responder: bool = True, port: Annotated[list[str] | None, Parameter(negative="")] = None) -> None:
    """Start the lab and keep it until Ctrl-C or `aegis lab down`; nothing is left running.

    Parameters
    ----------
    responder
        Whether somebody acknowledges and approves; with --no-responder you do it yourself.
    port
        NAME=NUMBER for a part that must have a certain port, e.g. prefect=4200; may be repeated.
    """
    from aegis_flows.lab import launch

    if (told := state()) is not None:
        raise Refused(
            f"A lab is already {told['state']} here (process {told['pid']}).", advice="Stop it: aegis lab down"
        )
    launch.up(FOLDER.resolve(), Path.cwd(), _ports(port or []), responder=responder)


@app.command
def status() -> int:
    """Each part of the lab and whether it is healthy. Ends with 0 when everything is up."""
    told = state()
    if told is None:
        print("No lab is running here. Start one: aegis lab up")
        return 1
    for name, part in told["parts"].items():
        mark = "healthy" if part["healthy"] else "starting"
        print(f"{name:14} {mark:9} {part['seconds']:6.1f} s  {told['urls'].get(name, '')}")
    print(f"The lab is {told['state']} (process {told['pid']}).")
    return 0 if told["state"] == "up" else 1


@app.command
def logs(part: str | None = None, *, lines: int = 40) -> None:
    """The last lines of a part's log, or of all of them.

    Parameters
    ----------
    part
        Name of the part, as `aegis lab status` shows it.
    lines
        How many lines of each.
    """
    files = {path.stem: path for path in sorted((FOLDER / "logs").glob("*.log"))}
    if not files:
        raise BadInput("There are no logs here.", advice="Start the lab: aegis lab up")
    if part is not None and part not in files:
        raise BadInput(f"The lab has no part {part!r}.", advice=f"Parts are: {', '.join(files)}.")
    for name in [part] if part else files:
        for line in files[name].read_text(errors="replace").splitlines()[-lines:]:
            print(f"{name:14} {line}")


@app.command
def down() -> None:
    """Stop the lab of this folder; returns when nothing of it runs any more."""
    told = state()
    if told is None:
        print("No lab is running here.")
        return
    os.kill(told["pid"], signal.SIGTERM)
    deadline = time.monotonic() + DOWN_WITHIN
    while _alive(told["pid"]):
        if time.monotonic() > deadline:
            raise TooLate(f"The lab (process {told['pid']}) did not stop within {DOWN_WITHIN:.0f} s.")
        time.sleep(0.1)
    print("The lab is stopped.")


@app.command
def env() -> None:
    """The lab's settings as shell lines: eval "$(aegis lab env)" and kubectl, aws and prefect talk to the lab."""
    if state() is None:
        raise BadInput("No lab is running here.", advice="Start one: aegis lab up")
    print("\n".join(f"export {line}" for line in (FOLDER / "env").read_text().splitlines()))


@app.command
def responder(*, on: bool) -> None:
    """Send the lab's person on call away, or call them back.

    Parameters
    ----------
    on
        --on: somebody acknowledges and approves. --no-on: nobody does.
    """
    from aegis_flows.lab.parts import off_switch

    switch = off_switch(FOLDER)
    if on:
        switch.unlink(missing_ok=True)
    else:
        switch.touch()
    print("Somebody is on call." if on else "Nobody is on call.")


def state() -> dict[str, Any] | None:
    """What the running lab of this folder says of itself, None where there is none."""
    with suppress(OSError, json.JSONDecodeError):
        told: dict[str, Any] = json.loads((FOLDER / "lab.json").read_text())
        return told if _alive(told["pid"]) else None
    return None


@contextmanager
def connected() -> Iterator[None]:
    """Within this block the settings are those of the environment, or else of the lab of this folder."""
    if "AEGIS_ENVIRONMENT" not in os.environ and "PREFECT_API_URL" not in os.environ:
        if state() is None:
            raise BadInput(
                "No staging is configured (AEGIS_ENVIRONMENT is not set) and no lab is running here.",
                advice="Start one: aegis lab up. Or see README, “A real staging”.",
            )
        for line in (FOLDER / "env").read_text().splitlines():
            name, _, value = line.partition("=")
            os.environ[name] = value
    yield


@contextmanager
def running(*, keep: bool, responder: bool) -> Iterator[None]:
    """As `connected`, but a lab is started where there is nothing else, and stopped again unless it is to be kept."""
    started = None
    if "AEGIS_ENVIRONMENT" not in os.environ and state() is None:
        started = _start(responder=responder)
    try:
        with connected():
            yield
    finally:
        if started and keep:
            print("The lab stays up; stop it with: aegis lab down")
        elif started:
            print("Stopping the lab.", flush=True)
            started.send_signal(signal.SIGTERM)
            started.wait(DOWN_WITHIN)


def _start(*, responder: bool) -> "subprocess.Popen[bytes]":
    """`aegis lab up` in a session of its own, so that Ctrl-C reaches it only after the game-day has ended."""
    command = [sys.executable, "-m", "aegis_flows.cli", "lab", "up", "--responder" if responder else "--no-responder"]
    process = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + UP_WITHIN
    try:
        while (told := state()) is None or told["state"] != "up":
            if process.poll() is not None:
                raise Refused("The lab did not start.", advice="See above, and: aegis lab logs")
            if time.monotonic() > deadline:
                raise TooLate(f"The lab was not up after {UP_WITHIN:.0f} s.", advice="See: aegis lab logs")
            time.sleep(0.1)
    except BaseException:
        process.send_signal(signal.SIGTERM)
        process.wait(DOWN_WITHIN)
        raise
    return process


def _alive(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rsplit(")", 1)[-1].split()[0] != "Z"


def _ports(asked: list[str]) -> dict[str, int]:
    from aegis_flows.lab.ports import USUAL

    ports = {}
    for text in asked:
        name, _, number = text.partition("=")
        if name not in USUAL or not number.isdigit():
            raise BadInput(f"--port {text!r} is not NAME=NUMBER.", advice=f"Names are: {', '.join(USUAL)}.")
        ports[name] = int(number)
    return ports
