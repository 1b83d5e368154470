"""Which staging a command is in front of, told by what it finds in its environment."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from aegis_flows.errors import BadInput, Refused
from aegis_flows.lab import connection, state

SERVER = "https://prefect.example.com/api"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Of a lab that does not run, in a shell where nothing else is set."""
    with patch.dict(os.environ, {"AEGIS_LAB_FOLDER": str(tmp_path / "lab")}, clear=True):
        yield tmp_path / "lab"


@pytest.fixture
def lab(folder: Path) -> Iterator[Callable[[str], None]]:
    """A lab that this process claims to be: call it to say its state."""
    with state.claimed(folder):
        lines = f"AEGIS_LAB={folder}\nAEGIS_ENVIRONMENT=staging\nPREFECT_API_URL=http://127.0.0.1:4200/api?a=b\n"
        (folder / "env").write_text(lines)
        yield lambda told: state.write(folder, told, {"parts": {}, "urls": {}})


def test_running_lab_goes_before_the_users_own_server(lab: Callable[[str], None]) -> None:
    """PREFECT_API_URL and AWS keys of the shell alone do not make a staging; the run must not go there."""
    lab("up")
    os.environ |= {"PREFECT_API_URL": SERVER, "PREFECT_API_KEY": "x", "AWS_ACCESS_KEY_ID": "x"}
    connection.connect()
    assert os.environ["PREFECT_API_URL"] == "http://127.0.0.1:4200/api?a=b"
    assert not {"PREFECT_API_KEY", "AWS_ACCESS_KEY_ID"} & set(os.environ)


def test_environment_of_ones_own_goes_before_the_lab(lab: Callable[[str], None]) -> None:
    """AEGIS_ENVIRONMENT says so, and then nothing is touched."""
    lab("up")
    own = {"AEGIS_ENVIRONMENT": "staging", "PREFECT_API_URL": SERVER, "AWS_PROFILE": "staging"}
    os.environ |= own
    connection.connect()
    assert {name: os.environ[name] for name in own} == own


def test_own_environment_needs_its_prefect(folder: Path) -> None:
    """Otherwise Prefect would start a server of its own and know nothing."""
    os.environ["AEGIS_ENVIRONMENT"] = "staging"
    with pytest.raises(BadInput, match=r"PREFECT_API_URL is not set\. Set it to"):
        connection.connect()
    assert not folder.exists()


def test_nothing_at_all_is_said_with_its_remedy(folder: Path) -> None:
    """And a Prefect server alone is nothing."""
    os.environ["PREFECT_API_URL"] = SERVER
    with pytest.raises(BadInput, match=r"no lab is running here\. Start one: aegis lab up"):
        connection.connect()
    assert not folder.exists()


def test_settings_taken_over_from_a_lab_still_mean_the_lab(folder: Path, lab: Callable[[str], None]) -> None:
    """After `eval "$(aegis lab env)"`, also when the lab has been started anew with other ports and keys."""
    lab("up")
    del os.environ["AEGIS_LAB_FOLDER"]
    stale = {"AEGIS_LAB": str(folder), "AEGIS_ENVIRONMENT": "staging", "PREFECT_API_URL": "http://127.0.0.1:1/api"}
    os.environ |= stale
    connection.connect()
    assert os.environ["PREFECT_API_URL"] == "http://127.0.0.1:4200/api?a=b"


def test_lab_that_still_starts_is_no_staging_yet(lab: Callable[[str], None]) -> None:
    """Its settings may not be there."""
    lab("starting")
    with pytest.raises(Refused, match=r"The lab here is starting\. See: aegis lab status"):
        connection.connect()


def test_recovering_lab_is_in_use(lab: Callable[[str], None]) -> None:
    """A worker that is being restarted keeps nobody from approving."""
    lab("recovering")
    connection.connect()


@pytest.mark.parametrize(("responder", "off"), [(True, False), (False, True), (None, True)])
def test_gameday_sets_the_switch_of_a_running_lab(
    folder: Path, lab: Callable[[str], None], responder: bool | None, off: bool
) -> None:
    """--responder and --no-responder count in front of any lab; left out, it stays as it is."""
    lab("up")
    state.off_switch(folder).touch()
    with connection.running(keep=False, responder=responder):
        assert state.off_switch(folder).exists() is off


def test_own_staging_has_no_responder(folder: Path) -> None:
    """Real people are on call there."""
    os.environ |= {"AEGIS_ENVIRONMENT": "staging", "PREFECT_API_URL": SERVER}
    with (
        pytest.raises(BadInput, match="Only the lab has a responder"),
        connection.running(keep=False, responder=False),
    ):
        pass
    assert not folder.exists()


def test_running_lab_is_left_running(folder: Path, lab: Callable[[str], None]) -> None:
    """A command stops only what it has started."""
    lab("up")
    with connection.running(keep=False, responder=None):
        pass
    assert json.loads((folder / "lab.json").read_text())["pid"] == os.getpid()
