import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest

from aegis_flows.lab import postgres
from aegis_flows.lab.debian import Binaries
from tests.lab.processes import free_port, running, wait_until


@contextmanager
def server(binaries: Binaries, data_dir: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    postgres.initialise(binaries, data_dir)
    command = postgres.command(binaries, data_dir, port)
    with running(command, lambda: postgres.ready(binaries, port), postgres.STOP_SIGNAL) as process:
        yield process, port


def query(url: str, *statements: str) -> list[Any]:
    async def ask() -> list[Any]:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=5)
        try:
            return [await connection.fetchval(statement) for statement in statements]
        finally:
            await connection.close(timeout=5)

    return asyncio.run(ask())


def test_serves_prefects_database_to_its_user_alone(binaries: Binaries, tmp_path: Path) -> None:
    """The URL opens a UTF-8 database with pg_trgm; without the password, or as another user, nobody enters."""
    with server(binaries, tmp_path / "data") as (_, port):
        url = postgres.url(tmp_path / "data", port)
        facts = query(url, "SELECT similarity('aegis', 'aegis')", "SHOW server_encoding", "SHOW listen_addresses")
        assert facts == [1.0, "UTF8", "127.0.0.1"]
        with pytest.raises(asyncpg.InvalidPasswordError):
            query(f"postgresql://prefect:wrong@127.0.0.1:{port}/prefect", "SELECT 1")
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
            query(f"postgresql://postgres@127.0.0.1:{port}/prefect", "SELECT 1")


def test_stops_while_a_client_is_connected(binaries: Binaries, tmp_path: Path) -> None:
    """STOP_SIGNAL ends the server in well under two seconds although Prefect holds connections, and cleanly."""

    async def hold_and_stop(process: subprocess.Popen[bytes], url: str) -> float:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""), timeout=5)
        began = time.monotonic()
        process.send_signal(postgres.STOP_SIGNAL)
        await asyncio.to_thread(process.wait, 10)
        took = time.monotonic() - began
        connection.terminate()
        return took

    with server(binaries, tmp_path / "data") as (process, port):
        assert asyncio.run(hold_and_stop(process, postgres.url(tmp_path / "data", port))) < 2
    assert process.returncode == 0


def test_committed_rows_survive_kill_9(binaries: Binaries, tmp_path: Path) -> None:
    """What was committed is there after `kill -9`, even where another process now has the dead server's pid."""
    data_dir = tmp_path / "data"
    with server(binaries, data_dir) as (process, port):
        query(postgres.url(data_dir, port), "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (41), (1)")
        process.kill()
        process.wait()
    pid_file = data_dir / "postmaster.pid"
    pid_file.write_text(pid_file.read_text().replace(str(process.pid), str(os.getpid()), 1))
    with server(binaries, data_dir) as (_, port):
        assert query(postgres.url(data_dir, port), "SELECT sum(n) FROM kept") == [42]


def test_nothing_is_left_when_the_parent_is_killed(binaries: Binaries, tmp_path: Path) -> None:
    """`kill -9` of the process that started the server ends the server and all of its own processes."""
    data_dir, port = tmp_path / "data", free_port()
    postgres.initialise(binaries, data_dir)
    start = "import subprocess, sys; subprocess.Popen(sys.argv[1:], stderr=subprocess.DEVNULL).wait()"
    parent = subprocess.Popen([sys.executable, "-c", start, *postgres.command(binaries, data_dir, port)])
    wait_until(lambda: postgres.ready(binaries, port))
    postmaster = int((data_dir / "postmaster.pid").read_text().split("\n")[0])
    family = [postmaster, *children(postmaster)]
    assert len(family) > 3
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until(lambda: not any(alive(pid) for pid in family))


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_initialise_starts_afresh_after_an_interruption_and_keeps_what_is_whole(
    binaries: Binaries, tmp_path: Path
) -> None:
    """A half-made folder is thrown away; a made one stays as it is, its password too, readable by us alone."""
    (tmp_path / "data.unfinished" / "base").mkdir(parents=True)
    postgres.initialise(binaries, tmp_path / "data")
    url = postgres.url(tmp_path / "data", 1)
    postgres.initialise(binaries, tmp_path / "data")
    assert postgres.url(tmp_path / "data", 1) == url
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert (tmp_path / "data" / "password").stat().st_mode & 0o777 == 0o600


def test_a_failure_says_what_postgresql_said(binaries: Binaries, tmp_path: Path) -> None:
    """The error carries PostgreSQL's own words, and no data folder appears."""
    broken = replace(binaries, initdb=binaries.pg_isready)
    with pytest.raises(postgres.PostgresFailed, match="invalid option"):
        postgres.initialise(broken, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_runs_below_a_path_too_long_for_a_socket(binaries: Binaries, tmp_path: Path) -> None:
    """A data folder whose path exceeds the 107 bytes of a Unix socket's address serves like any other."""
    with server(binaries, tmp_path / ("d" * 120)) as (_, port):
        assert query(postgres.url(tmp_path / ("d" * 120), port), "SELECT 1") == [1]


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user needs no other identity")
def test_root_without_user_namespaces_becomes_nobody(binaries: Binaries, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `unshare` does not work, root runs the server as nobody, if nobody can enter; on a copied folder too."""
    with tempfile.TemporaryDirectory() as folder:
        programs = Path(folder) / "bin"
        programs.mkdir()
        for name in ("setpriv", "env", "test"):
            (programs / name).symlink_to(str(shutil.which(name)))
        monkeypatch.setenv("PATH", str(programs))
        with pytest.raises(postgres.PostgresFailed, match="nobody cannot enter"):
            postgres.initialise(binaries, Path(folder) / "data")
        Path(folder).chmod(0o755)
        with server(binaries, Path(folder) / "data") as (process, port):
            assert Path(f"/proc/{process.pid}").stat().st_uid == 65534
            assert query(postgres.url(Path(folder) / "data", port), "SELECT 1") == [1]
        shutil.copytree(Path(folder) / "data", Path(folder) / "copy")
        with server(binaries, Path(folder) / "copy") as (_, port):
            assert query(postgres.url(Path(folder) / "copy", port), "SELECT 1") == [1]
