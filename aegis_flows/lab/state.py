"""A lab's folder: one lab holds it at a time, and what that lab says of itself stands there in `lab.json`."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from aegis_flows.errors import BadInput, Refused

MARK = "aegis-lab"
"""The file that tells a lab's folder from any other; the running lab has it locked."""
STOPS_WITHIN = 20.0
"""Seconds that a lab gives all its parts to stop, before it kills them."""
DOWN_WITHIN = STOPS_WITHIN + 20
"""Seconds after which a lab that was told to stop must be gone; more than it may take."""


def folder() -> Path:
    """Where the lab keeps its state: AEGIS_LAB_FOLDER, else the lab whose settings this shell has, else `.lab`."""
    return Path(os.environ.get("AEGIS_LAB_FOLDER") or os.environ.get("AEGIS_LAB") or ".lab").resolve()


def read() -> dict[str, Any] | None:
    """What the running lab of this folder says of itself, None where there is none."""
    with suppress(OSError, json.JSONDecodeError, KeyError):
        told: dict[str, Any] = json.loads((folder() / "lab.json").read_text())
        return told if alive(told["pid"], told["started"]) else None
    return None


def found() -> dict[str, Any]:
    """As `read`, where there must be one."""
    if (told := read()) is None:
        raise BadInput("No lab is running here.", advice="Start one: aegis lab up")
    return told


def off_switch(where: Path) -> Path:
    """While this file exists, the lab's responder does nothing."""
    return where / "responder.off"


def write(where: Path, state: str, facts: Mapping[str, object]) -> None:
    told = {"pid": os.getpid(), "started": started(os.getpid()), "state": state, **facts}
    new = where / "lab.json.new"
    new.write_text(json.dumps(told, indent=1))
    new.replace(where / "lab.json")


def alive(pid: int, since: int) -> bool:
    """Whether the process that began then still runs; its number alone may be a stranger's by now."""
    return started(pid) == since


def started(pid: int) -> int | None:
    """When this process began, in the kernel's ticks; None when it has ended."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[-1].split()
    except OSError:
        return None
    return None if state in "ZX" else int(rest[18])


@contextmanager
def claimed(where: Path) -> Iterator[None]:
    """The folder, emptied, and this process's alone within the block. BadInput when it holds anything but a lab."""
    try:
        mark = _mark(where)
    except OSError as error:
        raise BadInput(
            f"The lab's folder {where} cannot be used: {error.strerror}.",
            advice="Name another one in AEGIS_LAB_FOLDER.",
        ) from None
    with mark:
        _lock(mark, where)
        _empty(where)
        write(where, "preparing", {"parts": {}, "urls": {}})
        try:
            yield
        finally:
            (where / "lab.json").unlink(missing_ok=True)


def _mark(where: Path) -> IO[str]:
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (where / MARK).exists() and any(where.iterdir()):
        raise BadInput(
            f"{where} is not empty and no lab's folder, so no lab is put there.",
            advice="Name an empty or a new folder in AEGIS_LAB_FOLDER.",
        )
    return (where / MARK).open("a")


def _lock(mark: IO[str], where: Path) -> None:
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        told = read()
        which = f" ({told['state']}, process {told['pid']})" if told else ""
        raise Refused(
            f"A lab is already running in {where}{which}.",
            advice="Stop it: aegis lab down. Or name another folder in AEGIS_LAB_FOLDER.",
        ) from None


def _empty(where: Path) -> None:
    for path in where.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != MARK:
            path.unlink()
