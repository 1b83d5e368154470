"""Which staging the command line is in front of: the user's own where AEGIS_ENVIRONMENT is set, else this folder's lab.

Settings of a lab that a shell has taken over (`eval "$(aegis lab env)"`) still mean that lab, as AEGIS_LAB tells.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from aegis_flows.errors import BadInput, Refused
from aegis_flows.lab import state, surroundings

LOOK = 0.1


def connect() -> None:
    """From here on the settings are those of the staging that this command line is in front of."""
    if own_staging():
        if not os.environ.get("PREFECT_API_URL"):
            raise BadInput(
                "AEGIS_ENVIRONMENT is set, so this is a staging of your own; but PREFECT_API_URL is not set.",
                advice="Set it to your Prefect server's API, e.g. https://prefect.example.com/api; "
                "or unset AEGIS_ENVIRONMENT to use the lab.",
            )
    else:
        surroundings.enter(lab_settings())
    # Without it Prefect would start a server of its own where none answers, and every answer would be empty.
    os.environ["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] = "false"


def own_staging() -> bool:
    return bool(os.environ.get("AEGIS_ENVIRONMENT")) and not os.environ.get("AEGIS_LAB")


def lab_settings() -> dict[str, str]:
    """The settings of the lab that runs here."""
    if (told := state.read()) is None:
        raise BadInput(
            "No staging is configured (AEGIS_ENVIRONMENT is not set) and no lab is running here.",
            advice="Start one: aegis lab up. Or see README, “A real staging”.",
        )
    if told["state"] not in ("up", "recovering"):
        raise Refused(f"The lab here is {told['state']}.", advice="See: aegis lab status")
    lines = (state.folder() / "env").read_text().splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


@contextmanager
def running(*, keep: bool, responder: bool | None) -> Iterator[None]:
    """As `connect`, but a lab is started where there is nothing else, and stopped again unless it is to be kept."""
    if own_staging():
        _no_responder_here(responder)
        connect()
        yield
        return
    started = None if state.read() else _start(keep=keep)
    try:
        _until_up(started)
    except BaseException:
        _stop(started)
        raise
    try:
        call(responder)
        connect()
        yield
    finally:
        if started and keep:
            print("The lab stays up; stop it with: aegis lab down", flush=True)
        else:
            _stop(started)


def call(responder: bool | None) -> None:
    """Somebody on call in the lab, or nobody; None leaves it as it is. That nobody is there is worth a word."""
    switch = state.off_switch(state.folder())
    if responder:
        switch.unlink(missing_ok=True)
    elif responder is not None:
        switch.touch()
    if switch.exists():
        print("Nobody is on call in the lab: acknowledge in the PagerDuty stub, decide with `aegis approve`.")


def _no_responder_here(responder: bool | None) -> None:
    if responder is not None:
        raise BadInput(
            "Only the lab has a responder, and this is a staging of your own.",
            advice="Leave out --responder and --no-responder, or unset AEGIS_ENVIRONMENT to use the lab.",
        )


def _start(*, keep: bool) -> "subprocess.Popen[bytes]":
    """`aegis lab up` in a session of its own: Ctrl-C reaches it after the game-day has ended, our death at once."""
    leash = ("setpriv", "--pdeathsig=TERM") if not keep and shutil.which("setpriv") else ()
    words = ("lab", "up", *(["--kept"] if keep else []))
    return subprocess.Popen([*leash, sys.executable, "-m", "aegis_flows.cli", *words], start_new_session=True)


def _until_up(started: "subprocess.Popen[bytes] | None") -> None:
    """It gives each of its parts a time to start, so it comes up or ends."""
    while (told := state.read()) is None or told["state"] in ("preparing", "starting"):
        if started.poll() is not None if started else told is None:
            raise Refused("The lab did not start.", advice="See above, and: aegis lab logs")
        time.sleep(LOOK)


def _stop(started: "subprocess.Popen[bytes] | None") -> None:
    """Says so when it does not stop, and never hides how the game-day has ended."""
    if started is None or started.poll() is not None:
        return
    print("Stopping the lab.", file=sys.stderr, flush=True)
    started.send_signal(signal.SIGTERM)
    try:
        started.wait(state.DOWN_WITHIN)
    except subprocess.TimeoutExpired:
        started.kill()
        slow = f"The lab (process {started.pid}) did not stop within {state.DOWN_WITHIN:.0f} s and was killed"
        print(f"{slow}; what ran inside it may still run.", file=sys.stderr)
