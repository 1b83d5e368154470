import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aegis_flows.lab import debian
from tests.deployments.shipped import ask

CACHE = Path(__file__).parents[2] / ".cache"


def test_every_program_starts(binaries: debian.Binaries) -> None:
    """Each of the seven programs is there and says its version, from an empty environment."""
    versions = {name: _version(binaries, path) for name, path in binaries.programs.items()}
    assert versions.keys() == {"prometheus", "promtool", "alertmanager", "amtool", "postgres", "initdb", "pg_isready"}
    assert all("version" in text or "PostgreSQL" in text for text in versions.values()), versions


def _version(binaries: debian.Binaries, program: Path) -> str:
    env = {"LD_LIBRARY_PATH": binaries.library_path, "PATH": os.defpath}
    done = subprocess.run([program, "--version"], env=env, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="the programs come from PATH here")
def test_the_cache_serves_without_apt(
    binaries: debian.Binaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is cached is found although PATH leads to no program but `ldd`."""
    (tmp_path / "ldd").symlink_to(str(shutil.which("ldd")))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert debian.ensure(CACHE) == binaries


def test_nothing_found_is_one_sentence_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without cache, apt-get and programs the error names what is missing and what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(debian.ProgramMissing, match=r"needs prometheus.*there is no apt-get.*Install Prometheus"):
        debian.ensure(tmp_path)


def test_programs_on_path_serve_where_there_is_no_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without apt-get the programs on PATH are taken; Alertmanager also under the name that Debian gives it."""
    for name in ("prometheus", "promtool", "prometheus-alertmanager", "amtool", "postgres", "initdb", "pg_isready"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    binaries = debian.ensure(tmp_path / "cache")
    assert binaries.alertmanager == tmp_path / "prometheus-alertmanager"
    assert binaries.postgres == tmp_path / "postgres"
    assert binaries.library_path == ""


@pytest.mark.usefixtures("binaries")
def test_set_up_prints_a_line_for_each_package() -> None:
    """`python -m aegis_flows.lab.debian` names each package once and succeeds."""
    answer = ask(sys.executable, "-m", "aegis_flows.lab.debian", "--cache", CACHE)
    assert answer.ok, answer.text
    lines = answer.text.splitlines()
    assert len(lines) == len(set(lines))
    assert any("alertmanager" in line for line in lines)


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="the programs come from PATH here")
def test_alertmanager_runs_from_its_unpacked_package(binaries: debian.Binaries) -> None:
    """Debian's Alertmanager carries no template of its own; the script starts it where it finds the package's."""
    root = binaries.alertmanager.parents[2]
    assert (root / "usr/share/prometheus/alertmanager/default.tmpl").exists()
    assert b"/usr/share/prometheus/alertmanager" not in (root / "usr/bin/prometheus-alertmanager").read_bytes()
