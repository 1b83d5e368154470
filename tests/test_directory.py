from pathlib import Path

import pytest

from aegis_flows import directory
from aegis_flows.errors import BadInput

SHIPPED = Path(__file__).parents[1] / "deployments/directory.yaml"


def test_shipped_directory_names_both_owners_of_every_alert() -> None:
    """The four alerts of the runbook, with the owners of its source text."""
    told = {name: (o.primary, o.secondary) for name, o in directory.read(SHIPPED).alerts.items()}
    assert told == {
        "AegisSafetySpike": ("safety", "sre"),
        "AegisHighInferenceLatencyP95": ("sre", "model"),
        "AegisModelNotLoaded": ("sre", "release"),
        "AegisAuditWriteFailures": ("sre", "compliance"),
    }


@pytest.mark.parametrize("stranger", ["", "nobody@example.com", "sam.rivera@example.com.evil.org", "Sam Rivera"])
def test_a_stranger_approves_nothing(stranger: str) -> None:
    """Unknown means no."""
    assert not directory.read(SHIPPED).may_approve(stranger)


def test_a_member_of_an_approving_team_may() -> None:
    """Letter case and blanks around an address do not matter."""
    assert directory.read(SHIPPED).may_approve(" Sam.Rivera@example.com ")


def test_unknown_team_names_place_and_remedy(tmp_path: Path) -> None:
    """A mistake in the file is found when it is read, not at 3 a.m."""
    broken = tmp_path / "directory.yaml"
    broken.write_text(SHIPPED.read_text().replace("primary: safety, secondary: sre", "primary: safty, secondary: sre"))
    with pytest.raises(BadInput, match=r"alerts\.AegisSafetySpike names the unknown team 'safty'"):
        directory.read(broken)


def test_missing_file_says_how_to_name_another(tmp_path: Path) -> None:
    """The error carries the setting."""
    with pytest.raises(BadInput, match="AEGIS_DIRECTORY"):
        directory.read(tmp_path / "none.yaml")
