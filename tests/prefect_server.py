"""A real Prefect server for tests: once per session, on a copy of a migrated SQLite file."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

CACHE = Path(__file__).parents[1] / ".cache"
STARTS_WITHIN = 120  # seconds; 5 to 9 were measured on two cores


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the API of a real Prefect server that lives as long as the test session."""
    home = tmp_path_factory.mktemp("prefect")
    shutil.copy(migrated_database(), home / "prefect.db")
    with running_server(home) as url:
        yield url


def migrated_database() -> Path:
    """A SQLite file with the installed Prefect's tables; made once, then cached in the repository."""
    cached = CACHE / f"prefect-{version('prefect')}.sqlite"
    if not cached.exists():
        cached.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cached.parent) as folder:
            _migrate(Path(folder)).replace(cached)
    return cached


@contextmanager
def running_server(home: Path) -> Iterator[str]:
    """The API's URL of a server with its own process, port, settings and database in `home`."""
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"]
    log = home / "server.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, "--port", str(port), "--log-level", "warning"],
            env=_environment(home) | {"PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}/api"
        _wait_until_healthy(server, url, log)
        yield url
    finally:
        server.kill()
        server.wait()


def _migrate(home: Path) -> Path:
    upgrade = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
    subprocess.run(upgrade, env=_environment(home), check=True, stdout=subprocess.DEVNULL)
    whole = home / "whole.sqlite"
    with closing(sqlite3.connect(home / "prefect.db")) as journaled, closing(sqlite3.connect(whole)) as target:
        journaled.backup(target)
    return whole


def _environment(home: Path) -> dict[str, str]:
    """The caller's environment without its own Prefect settings."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return inherited | {
        "DO_NOT_TRACK": "1",
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home / 'prefect.db'}",
        "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"{url}/health").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"Prefect's server did not start:\n{log.read_text()[-2000:]}")
