"""Puts a lab together and hands it to the supervisor."""

import asyncio
import os
import shutil
import sys
import time
from pathlib import Path

from aegis_flows.lab import database, debian, parts, ports
from aegis_flows.lab.parts import Lab
from aegis_flows.lab.supervisor import Supervisor

PAGES = ("prefect", "slack", "pagerduty", "prometheus", "alertmanager")
"""The parts with something for a person to look at."""


def up(folder: Path, repository: Path, wanted: dict[str, int], *, responder: bool) -> None:
    """Runs until it is told to stop. PartFailed when a part fails; nothing is left running either way."""
    began = time.monotonic()
    cache = repository / ".cache"
    binaries = debian.ensure(cache)
    lab = Lab(folder, repository, ports.allot(wanted), binaries)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    parts.prepare(lab)
    database.copy(binaries, cache, folder / "postgres")
    lines = (f"{name}={value}" for name, value in parts.environment(lab).items())
    (folder / "env").touch(mode=0o600)
    (folder / "env").write_text("\n".join(lines) + "\n")
    os.environ.update(PYTHONUNBUFFERED="1")
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    urls = {name: lab.url(name) for name in lab.ports}
    supervisor = Supervisor(parts.parts(lab, responder=responder), folder, {"urls": urls})
    asyncio.run(supervisor.run(lambda seconds: _say_up(lab, time.monotonic() - began, seconds)))
    print("The lab is stopped.", flush=True)


def _say_up(lab: Lab, took: float, seconds: dict[str, float]) -> None:
    slowest = ", ".join(f"{n} {s:.1f} s" for n, s in sorted(seconds.items(), key=lambda item: -item[1])[:3])
    print(f"The lab is up after {took:.1f} s (slowest: {slowest}).")
    for name in PAGES:
        print(f"  {name:13} {lab.url(name)}")
    print(flush=True)
