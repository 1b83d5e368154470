"""Prefect's database: a PostgreSQL of our own in one folder, on the loopback, gone with the process that starts it.

It survives `kill -9` of any process; fsync is off, so it does not survive the loss of the machine.
"""

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from aegis_flows.errors import AegisError
from aegis_flows.lab.debian import Binaries

# A fast shutdown: clients are cut off. On SIGTERM PostgreSQL waits for them, and Prefect never leaves.
STOP_SIGNAL = signal.SIGINT

_NOBODY = 65534
_PASSWORD = "password"  # noqa: S105  # the name of a file in the data folder, mode 0600

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a socket's path is limited to 107 bytes, and TCP does
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "fsync": "off",  # but synchronous_commit stays on: a killed server would forget its last 0.6 s of commits
    "full_page_writes": "off",
    "jit": "off",  # its LLVM is not unpacked
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_parallel_workers_per_gather": "0",
}


class PostgresFailed(AegisError):
    """The database could not be made; the message carries what PostgreSQL wrote."""


def initialise(binaries: Binaries, data_dir: Path) -> None:
    """Makes the database `prefect` in half a second, unless it is there. Call it before each start."""
    if data_dir.exists():
        _hand_over(_ordinary_user(binaries, data_dir), data_dir)
        _forget_dead_server(data_dir)
        return
    unfinished = data_dir.with_name(f"{data_dir.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True, mode=0o700)
    _make_cluster(binaries, unfinished, password := secrets.token_hex(16))
    (unfinished / "pg_hba.conf").write_text("host prefect prefect 127.0.0.1/32 scram-sha-256\n")
    (unfinished / _PASSWORD).touch(mode=0o600)
    (unfinished / _PASSWORD).write_text(password)
    unfinished.rename(data_dir)


def command(binaries: Binaries, data_dir: Path, port: int) -> list[str]:
    """What the supervisor starts; stop it with STOP_SIGNAL. It also stops when the process that started it dies."""
    # The kernel clears the parent-death signal with each change of identity, so it is set after that.
    leash = ["setpriv", "--pdeathsig=INT"] if shutil.which("setpriv") else []
    settings = [f"--{name}={value}" for name, value in (_SETTINGS | {"port": str(port)}).items()]
    server = _program(binaries, binaries.postgres)
    return [*_ordinary_user(binaries, data_dir), *leash, *server, "-D", str(data_dir), *settings]


def url(data_dir: Path, port: int) -> str:
    """For PREFECT_API_DATABASE_CONNECTION_URL; holds the password."""
    return f"postgresql+asyncpg://prefect:{(data_dir / _PASSWORD).read_text()}@127.0.0.1:{port}/prefect"


def ready(binaries: Binaries, port: int) -> bool:
    """Whether the server takes connections, answered within a second."""
    where = ["-h", "127.0.0.1", "-p", str(port), "-U", "prefect", "-d", "prefect"]
    probe = [*_program(binaries, binaries.pg_isready), *where, "--timeout=1", "--quiet"]
    return subprocess.run(probe, check=False).returncode == 0


def _make_cluster(binaries: Binaries, folder: Path, password: str) -> None:
    user = _ordinary_user(binaries, folder)
    _hand_over(user, folder)
    options = [
        "--username=postgres",
        "--auth=reject",
        "--encoding=UTF8",
        "--no-locale",
        "--no-sync",
        "--no-instructions",
    ]
    _run([*user, *_program(binaries, binaries.initdb), "-D", str(folder), *options])
    alone = [*user, *_program(binaries, binaries.postgres), "--single", "-c", "exit_on_error=on", "-D", str(folder)]
    # A single-user server takes one statement a line; over stdin the password shows in no process list.
    role = f"CREATE ROLE prefect LOGIN PASSWORD '{password}'\n"
    _run([*alone, "postgres"], role + "CREATE DATABASE prefect OWNER prefect\n")
    _run([*alone, "prefect"], "CREATE EXTENSION pg_trgm\n")


def _program(binaries: Binaries, path: Path) -> list[str]:
    return ["env", f"LD_LIBRARY_PATH={binaries.library_path}", str(path)] if binaries.library_path else [str(path)]


def _ordinary_user(binaries: Binaries, folder: Path) -> list[str]:
    """What to put before a command, since PostgreSQL refuses root: a user namespace, else the user nobody."""
    if os.geteuid() != 0:
        return []
    namespace = ["unshare", "--user", "--map-user=1000"]
    nobody = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
    if _works([*namespace, "true"]):
        return namespace
    if _works([*nobody, "test", "-x", str(binaries.initdb), "-a", "-x", str(folder.parent)]):
        return nobody
    raise PostgresFailed(
        f"PostgreSQL does not run as root; this machine allows no user namespace, and nobody cannot enter {folder}.",
        advice="Run the lab as an ordinary user, or from a folder that every user may enter.",
    )


def _hand_over(user: Sequence[str], folder: Path) -> None:
    """Gives the folder to nobody where the server runs as nobody; a copied one belongs to root."""
    if "setpriv" in user:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, _NOBODY, _NOBODY)


def _works(probe: Sequence[str]) -> bool:
    return bool(shutil.which(probe[0])) and subprocess.run(probe, capture_output=True, check=False).returncode == 0


def _forget_dead_server(data_dir: Path) -> None:
    """Removes the pid file of a killed server. PostgreSQL would refuse to start where its pid is in use again."""
    pid_file = data_dir / "postmaster.pid"
    if not pid_file.exists():
        return
    process = Path("/proc") / pid_file.read_text().split("\n")[0] / "cmdline"
    alive = process.exists() and str(data_dir).encode() in process.read_bytes()
    if not alive:
        pid_file.unlink()


def _run(command: Sequence[str], statements: str = "") -> None:
    done = subprocess.run(command, input=statements, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().rstrip(".")
        raise PostgresFailed(f"PostgreSQL could not be set up: {said}.")
