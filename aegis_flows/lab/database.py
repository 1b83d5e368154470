"""Prefect's database, migrated once and copied for each lab: the migrations take longer than all else together."""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from aegis_flows.errors import AegisError
from aegis_flows.lab import ports, postgres, surroundings
from aegis_flows.lab.debian import Binaries

STARTS_WITHIN = 30.0
STOPS_WITHIN = 15.0


def template(binaries: Binaries, cache: Path) -> Path:
    """The migrated data folder of this Prefect version; made on the first call."""
    made = cache.resolve() / f"prefect-{version('prefect')}-{binaries.postgres.parents[1].name}"
    cache.mkdir(parents=True, exist_ok=True)
    with made.with_name(f"{made.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two labs may start at once
        if not made.exists():
            _make(binaries, made)
    return made


def copy(binaries: Binaries, cache: Path, target: Path) -> None:
    """A fresh database for one lab."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(template(binaries, cache), target)
    postgres.initialise(binaries, target)


def _make(binaries: Binaries, made: Path) -> None:
    unfinished = made.with_name(f"{made.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    postgres.initialise(binaries, unfinished)
    _migrate(binaries, unfinished)
    unfinished.rename(made)


def _migrate(binaries: Binaries, data: Path) -> None:
    port = ports.allot()["postgres"]
    command = postgres.command(binaries, data, port)
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until_ready(binaries, port, server)
        _upgrade(postgres.url(data, port), data.parent / "prefect-home")
    finally:
        server.send_signal(postgres.STOP_SIGNAL)
        server.wait(STOPS_WITHIN)


def _until_ready(binaries: Binaries, port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while not postgres.ready(binaries, port):
        if server.poll() is not None or time.monotonic() > deadline:
            raise AegisError("PostgreSQL did not start for Prefect's migrations.", advice="Try: make clean, and again.")
        time.sleep(0.05)


def _upgrade(url: str, home: Path) -> None:
    foreign = surroundings.foreign(os.environ)
    env = {name: value for name, value in os.environ.items() if name not in foreign}
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"],
        env=env | {"PREFECT_API_DATABASE_CONNECTION_URL": url, "PREFECT_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AegisError(f"Prefect could not migrate its database: {done.stderr[-800:]}")
