"""Prefect's database, migrated once and copied for each lab: the migrations take longer than all else together."""

import os
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from aegis_flows.errors import AegisError
from aegis_flows.lab import ports, postgres
from aegis_flows.lab.debian import Binaries


def template(binaries: Binaries, cache: Path) -> Path:
    """The migrated data folder of this Prefect version; made on the first call."""
    made = cache.resolve() / f"prefect-{version('prefect')}-{binaries.postgres.parents[1].name}"
    if not made.exists():
        unfinished = made.with_name(f"{made.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        postgres.initialise(binaries, unfinished)
        _migrate(binaries, unfinished)
        unfinished.rename(made)
    return made


def copy(binaries: Binaries, cache: Path, target: Path) -> None:
    """A fresh database for one lab."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(template(binaries, cache), target)
    postgres.initialise(binaries, target)


def _migrate(binaries: Binaries, data: Path) -> None:
    port = ports.allot()["postgres"]
    server = subprocess.Popen(
        postgres.command(binaries, data, port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 30
        while not postgres.ready(binaries, port):
            if server.poll() is not None or time.monotonic() > deadline:
                raise AegisError("PostgreSQL did not start for Prefect's migrations.", advice="See: aegis lab logs")
            time.sleep(0.05)
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"],
            env={
                **os.environ,
                "PREFECT_API_DATABASE_CONNECTION_URL": postgres.url(data, port),
                "PREFECT_HOME": str(data.parent / "prefect-home"),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AegisError(f"Prefect could not migrate its database: {done.stderr[-800:]}")
    finally:
        server.send_signal(postgres.STOP_SIGNAL)
        server.wait(15)
