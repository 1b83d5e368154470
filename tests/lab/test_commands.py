"""`aegis lab`, as somebody types it."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from aegis_flows.lab import state
from tests.lab.processes import running_with, wait_until
from tests.running_lab import REPOSITORY, UP_WITHIN, RunningLab, shell, started_lab

STARTS_WITHIN = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "lab"


def aegis(folder: Path, *words: str, cwd: Path = REPOSITORY, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "aegis_flows.cli", *words],
        cwd=cwd,
        env=shell(AEGIS_LAB_FOLDER=str(folder), PYTHONPATH=str(REPOSITORY), **more),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def pretended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a lab that says it is up; this process pretends to be it."""
    monkeypatch.setenv("AEGIS_LAB_FOLDER", str(folder))
    with state.claimed(folder):
        facts = {"parts": {"aws": {"pid": 1, "healthy": True, "seconds": 1.0}}, "urls": {"aws": "http://127.0.0.1:1"}}
        state.write(folder, "up", facts)
        (folder / "env").write_text(f"AEGIS_LAB={folder}\nAEGIS_NAMESPACE=it's mine\nAWS_PROFILE=flows\n")
        yield folder


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["responder", "off"], "No lab is running here. Start one: aegis lab up"),
        (["env"], "No lab is running here. Start one: aegis lab up"),
        (["logs"], "There are no logs here. Start the lab: aegis lab up"),
        (["logs", "--lines", "0"], "Must be >= 1"),
        (["responder", "maybe"], 'Choose from: "on", "off"'),
        (["up", "--port", "nope=1"], "--port 'nope=1' is not NAME=NUMBER. Names are: prefect,"),
        (["up", "--port", "prefect=65536"], "numbers go from 1 to 65535"),
    ],
)
def test_wrong_use_is_one_sentence(folder: Path, words: list[str], complaint: str) -> None:
    """With its remedy and exit code 2; nothing is made."""
    refused = aegis(folder, "lab", *words)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert complaint in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not folder.exists()


def test_asked_for_port_that_is_taken_is_one_sentence(folder: Path) -> None:
    """Before anything is started, and nothing is left behind that looks like a lab."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        refused = aegis(folder, "lab", "up", "--port", f"slack={port}")
    told = f"aegis: Port {port} for slack is in use. Free it, or leave out --port slack={port}.\n"
    assert (refused.returncode, refused.stderr) == (2, told)
    assert aegis(folder, "lab", "status").returncode == 1


def test_folder_of_somebody_else_is_refused(folder: Path) -> None:
    """One sentence, and his file is still there."""
    folder.mkdir()
    (folder / "thesis.tex").touch()
    refused = aegis(folder, "lab", "up")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "is not empty and no lab's folder" in refused.stderr
    assert (folder / "thesis.tex").exists()


def test_lab_starts_from_a_checkout_only(folder: Path, tmp_path: Path) -> None:
    """Elsewhere it would miss the shipped rules, after having downloaded everything."""
    refused = aegis(folder, "lab", "up", cwd=tmp_path)
    assert refused.returncode == 2
    assert "is no checkout of aegis-flows" in refused.stderr
    assert not folder.exists()


def test_second_lab_in_the_same_folder_is_refused(pretended: Path) -> None:
    """It says which process has it."""
    refused = aegis(pretended, "lab", "up")
    assert refused.returncode == 1
    assert f"already running in {pretended} (up, process {os.getpid()}). Stop it: aegis lab down." in refused.stderr


def test_status_says_who_is_on_call(pretended: Path) -> None:
    """The switch is what `responder on|off` sets."""
    assert "somebody is on call" in aegis(pretended, "lab", "status").stdout
    assert aegis(pretended, "lab", "responder", "off").returncode == 0
    told = aegis(pretended, "lab", "status")
    assert (told.returncode, "nobody is on call" in told.stdout) == (0, True)
    assert "Somebody is on call" in aegis(pretended, "lab", "responder", "on").stdout


def test_down_does_not_end_a_stranger(folder: Path) -> None:
    """Who has the process number of a lab that died long ago."""
    folder.mkdir()
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    told = {"pid": stranger.pid, "started": 1, "state": "up", "parts": {}, "urls": {}}
    (folder / "lab.json").write_text(json.dumps(told))
    assert aegis(folder, "lab", "down").stdout == "No lab is running here.\n"
    assert stranger.poll() is None
    stranger.communicate(b"\n")
    assert stranger.returncode == 0


def test_env_leads_a_shell_to_the_lab_alone(pretended: Path) -> None:
    """What the shell had set for other systems is unset; values are quoted; the loopback goes without proxy."""
    lines = aegis(pretended, "lab", "env", AWS_ACCESS_KEY_ID="theirs", NO_PROXY="a.example.com").stdout
    script = f"{lines}\necho $AEGIS_NAMESPACE/$AWS_PROFILE/$AWS_ACCESS_KEY_ID/$NO_PROXY"
    said = subprocess.run(
        ["sh", "-c", script], env={"AWS_ACCESS_KEY_ID": "theirs"}, capture_output=True, text=True, check=True
    )
    assert said.stdout == "it's mine/flows//a.example.com,127.0.0.1,localhost\n"


@pytest.mark.lab
@pytest.mark.slow
def test_killed_part_ends_the_real_lab(folder: Path) -> None:
    """`kill -9` of the AWS stand-in: its name, how it ended, and nothing of the lab runs any more, no pod either."""
    environment = shell(AEGIS_LAB_FOLDER=str(folder), AWS_ACCESS_KEY_ID="theirs", HTTP_PROXY="http://127.0.0.1:1")
    with started(["lab", "up"], environment) as up:
        wait_until(lambda: said(folder) == "up" or up.poll() is not None, UP_WITHIN)
        assert any("aegis_flows.lab.aegis" in line for line in running_with(folder))
        pid = json.loads((folder / "lab.json").read_text())["parts"]["aws"]["pid"]
        os.kill(pid, signal.SIGKILL)
        output, _ = up.communicate(timeout=60)
    assert up.returncode == 1
    assert "aegis: The lab's aws was killed by SIGKILL. Its last lines (" in output
    wait_until(lambda: not running_with(folder), 2)
    assert aegis(folder, "lab", "status").returncode == 1


def said(folder: Path) -> str:
    """The state that the lab says it is in."""
    try:
        return str(json.loads((folder / "lab.json").read_text())["state"])
    except FileNotFoundError:
        return "nothing"


@contextmanager
def started(words: list[str], environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "aegis_flows.cli", *words]
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_lab_of_a_gameday_ends_with_it(folder: Path, number: signal.Signals) -> None:
    """However the command ends, in the midst of starting its lab; nothing of that runs on."""
    with started(["gameday", "--dry-run"], shell(AEGIS_LAB_FOLDER=str(folder))) as game:
        wait_until((folder / "logs/postgres.log").exists, STARTS_WITHIN)
        game.send_signal(number)
        assert game.wait(60) == (-number if number is signal.SIGKILL else 128 + number)
    wait_until(lambda: not running_with(folder), 30)
    assert said(folder) == "nothing"


@pytest.mark.lab
@pytest.mark.slow
def test_worker_takes_runs_as_soon_as_the_lab_is_up(tmp_path: Path) -> None:
    """Up means that the first run need not wait, also after the worker was killed and is back."""
    with started_lab(tmp_path / "state") as lab:
        assert online(lab) == ["lab"]
        before = json.loads((lab.folder / "lab.json").read_text())["parts"]["worker"]["pid"]
        os.killpg(before, signal.SIGKILL)
        wait_until(lambda: said(lab.folder) == "recovering")
        wait_until(lambda: said(lab.folder) == "up", 60)
        assert json.loads((lab.folder / "lab.json").read_text())["parts"]["worker"]["pid"] != before
        run = lab.start("Undo faults/undo-faults")
        assert lab.ended(run, within=20).name == "Nothing open"


def online(lab: RunningLab) -> list[str]:
    found = httpx.post(f"{lab.env['PREFECT_API_URL']}/work_pools/aegis/workers/filter", json={}).json()
    return [worker["name"] for worker in found if worker["status"] == "ONLINE"]
