import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aegis_flows.errors import BadInput, Refused
from aegis_flows.lab import state


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AEGIS_LAB_FOLDER", str(tmp_path / "lab"))
    return tmp_path / "lab"


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process that has nothing to do with any lab."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


def test_folder_of_somebody_else_is_left_alone(folder: Path) -> None:
    """AEGIS_LAB_FOLDER=~ removes nothing."""
    folder.mkdir()
    (folder / "thesis.tex").write_text("ten years")
    with pytest.raises(BadInput, match="is not empty and no lab's folder"), state.claimed(folder):
        pass
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]


def test_file_in_the_place_of_the_folder_is_refused(folder: Path) -> None:
    """In a sentence."""
    folder.write_text("")
    with pytest.raises(BadInput, match="cannot be used: File exists"), state.claimed(folder):
        pass


def test_own_folder_is_emptied_for_the_next_lab(folder: Path) -> None:
    """Logs outlive a lab, and go with the start of the next."""
    with state.claimed(folder):
        (folder / "logs").mkdir()
        (folder / "env").touch()
    assert (folder / "logs").exists()
    with state.claimed(folder):
        assert sorted(path.name for path in folder.iterdir()) == [state.MARK, "lab.json"]


def test_one_lab_at_a_time(folder: Path) -> None:
    """The second of two `up` is refused before it removes anything, and told who is there."""
    with state.claimed(folder):
        (folder / "env").touch()
        told = rf"already running in .*lab \(preparing, process {os.getpid()}\)"
        with pytest.raises(Refused, match=told), state.claimed(folder):
            pass
        assert (folder / "env").exists()
    assert state.read() is None


def test_lab_is_read_while_its_process_lives(folder: Path) -> None:
    """What a dead one left behind counts for nothing."""
    with state.claimed(folder):
        told = state.read()
    assert told
    assert told["state"] == "preparing"
    assert state.read() is None


def test_reused_process_number_is_no_lab(folder: Path, stranger: int) -> None:
    """A stale lab.json whose number a stranger has by now must not get him killed."""
    folder.mkdir()
    (folder / "lab.json").write_text(json.dumps({"pid": stranger, "started": 1, "state": "up"}))
    assert state.read() is None
    born = state.started(stranger)
    (folder / "lab.json").write_text(json.dumps({"pid": stranger, "started": born, "state": "up"}))
    assert state.read()


def test_ended_process_has_no_beginning() -> None:
    """Also when nobody has collected it yet."""
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert process.stdout
    with process.stdout as open_until_it_ends:
        open_until_it_ends.read()
    while state.started(process.pid):
        pass
    process.wait()
    assert state.started(process.pid) is None
