"""Puts a lab together and hands it to the supervisor."""

import asyncio
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from aegis_flows.errors import BadInput
from aegis_flows.lab import database, debian, parts, ports, state, surroundings
from aegis_flows.lab.parts import Lab
from aegis_flows.lab.supervisor import Supervisor, say

PAGES = ("prefect", "slack", "pagerduty", "prometheus", "alertmanager")
"""The parts with something for a person to look at."""


def up(folder: Path, repository: Path, wanted: Mapping[str, int], *, responder: bool, kept: bool) -> None:
    """Runs until it is told to stop. PartFailed when a part fails; nothing is left running either way.

    `kept`: once it is up, whoever started it goes; what it says from then on stands in its own log.
    """
    began = time.monotonic()
    if not (repository / "deployments/prometheus").is_dir():
        raise BadInput(
            f"{repository} is no checkout of aegis-flows, which the lab runs from.", advice="Change into one."
        )
    with state.claimed(folder), ports.held(wanted) as allotted:
        binaries = debian.ensure(repository / ".cache")
        lab = Lab(folder, repository, allotted, binaries)
        _enter(lab)
        _prepare(lab, responder=responder)

        def on_up(seconds: dict[str, float]) -> None:
            _say_up(lab, time.monotonic() - began, seconds)
            if kept:
                _speak_to(folder / "logs/lab.log")

        urls = {name: lab.url(name) for name in lab.ports if name != "postgres"}
        asyncio.run(Supervisor(parts.parts(lab), folder, {"urls": urls}).run(on_up))
    say("The lab is stopped.")


def _enter(lab: Lab) -> None:
    """The lab inherits a shell, and only what says nothing of other systems. AEGIS_LAB tells its processes apart."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    surroundings.enter({"AEGIS_LAB": str(lab.folder), "PATH": path, "PYTHONUNBUFFERED": "1"})


def _prepare(lab: Lab, *, responder: bool) -> None:
    parts.prepare(lab)
    if not responder:
        state.off_switch(lab.folder).touch()
    database.copy(lab.binaries, lab.repository / ".cache", lab.folder / "postgres")
    lines = (f"{name}={value}" for name, value in parts.environment(lab).items())
    (lab.folder / "env").touch(mode=0o600)
    (lab.folder / "env").write_text("\n".join(lines) + "\n")


def _say_up(lab: Lab, took: float, seconds: dict[str, float]) -> None:
    slowest = ", ".join(f"{n} {s:.1f} s" for n, s in sorted(seconds.items(), key=lambda item: -item[1])[:3])
    pages = "\n".join(f"  {name:13} {lab.url(name)}" for name in PAGES)
    say(f"The lab is up after {took:.1f} s (slowest: {slowest}).\n{pages}\n")


def _speak_to(log: Path) -> None:
    with log.open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
