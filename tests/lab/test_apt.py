import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aegis_flows.lab import apt
from tests.lab.processes import wait_until

pytestmark = pytest.mark.skipif(not apt.available(), reason="this machine has no apt-get")


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package archive on disk, the only one that apt knows, and whose lists apt has never read."""
    folder = tmp_path / "archive"
    folder.mkdir()
    (tmp_path / "system" / "lists").mkdir(parents=True)
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] file:{folder} ./\n")
    (tmp_path / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{tmp_path}/sources.list"; Dir::Etc::sourceparts "/dev/null";'
        f'Dir::State::Lists "{tmp_path}/system/lists"; Dir::Cache "{tmp_path}/system/cache";'
    )
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    return folder


def publish(archive: Path, name: str, version: str = "1.0-1", depends: str = "") -> None:
    """Puts a package with one file, `usr/share/<name>`, into the archive."""
    tree = archive.parent / "tree" / f"{name}-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/share").mkdir(parents=True)
    (tree / "usr/share" / name).write_text(version)
    control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: a <a@example.com>\nDescription: a\n"
    (tree / "DEBIAN/control").write_text(control + (f"Depends: {depends}\n" if depends else ""))
    package = archive / f"{name}_{version}_all.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, package], check=True, capture_output=True)
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    entry = (tree / "DEBIAN/control").read_text()
    entry += f"Filename: ./{package.name}\nSize: {package.stat().st_size}\nSHA256: {digest}\n\n"
    with (archive / "Packages").open("a") as packages:
        packages.write(entry)


def test_a_machine_without_package_lists_gets_its_own(archive: Path, tmp_path: Path) -> None:
    """With the system's lists empty, ours are fetched below the folder; the package is unpacked under its version."""
    publish(archive, "greeting")
    roots = apt.obtain(tmp_path / "debian", lambda source: source.unpack("greeting"))
    assert roots == {"greeting": tmp_path / "debian/greeting-1.0-1"}
    assert (roots["greeting"] / "usr/share/greeting").read_text() == "1.0-1"
    assert not any((tmp_path / "system/lists").glob("*Packages*"))


def test_what_is_unpacked_is_not_fetched_again(archive: Path, tmp_path: Path) -> None:
    """A second run needs neither lists nor archive."""
    publish(archive, "greeting")
    first = apt.obtain(tmp_path / "debian", lambda source: source.unpack("greeting"))
    shutil.rmtree(archive)
    shutil.rmtree(tmp_path / "debian/apt")
    assert apt.obtain(tmp_path / "debian", lambda source: source.unpack("greeting")) == first


def test_runs_at_the_same_time_do_not_disturb_each_other(archive: Path, tmp_path: Path) -> None:
    """Four runs side by side all end with the whole package and leave nothing temporary."""
    publish(archive, "greeting")

    def run(_: int) -> bool:
        roots = apt.obtain(tmp_path / "debian", lambda source: source.unpack("greeting"))
        return (roots["greeting"] / "usr/share/greeting").exists()

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(run, range(4)))
    assert sorted(path.name for path in (tmp_path / "debian").iterdir()) == [".lock", "apt", "greeting-1.0-1"]


def test_a_killed_run_leaves_nothing_that_looks_done(archive: Path, tmp_path: Path) -> None:
    """After `kill -9` in the middle of a download the lock is free, and the next run sweeps and succeeds."""
    publish(archive, "greeting")
    folder = tmp_path / "debian"
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "apt-get").write_text("#!/bin/sh\ntouch started\nexec sleep 60\n")
    (slow / "apt-get").chmod(0o755)
    code = "import sys, pathlib; from aegis_flows.lab import apt\n"
    code += "apt.obtain(pathlib.Path(sys.argv[1]), lambda source: source.unpack('greeting'))"
    path = {"PATH": f"{slow}{os.pathsep}{os.environ['PATH']}"}
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], env=os.environ | path, start_new_session=True)
    wait_until(lambda: any(folder.glob(".tmp-*/started")))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not any(folder.glob("greeting*"))
    apt.obtain(folder, lambda source: source.unpack("greeting"))
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "apt", "greeting-1.0-1"]


def test_a_failure_says_what_apt_said(archive: Path, tmp_path: Path) -> None:
    """The error names the package in apt's own words, and nothing is left behind."""
    publish(archive, "greeting")
    with pytest.raises(apt.AptFailed, match="Unable to locate package farewell"):
        apt.obtain(tmp_path / "debian", lambda source: source.unpack("farewell"))
    assert not any((tmp_path / "debian").glob(".tmp-*"))


def test_the_newest_name_is_the_one_with_the_highest_number(archive: Path, tmp_path: Path) -> None:
    """postgresql-16 is newer than postgresql-9; names that only begin alike do not count."""
    for name in ("server-9", "server-16", "server-client-17", "server-common"):
        publish(archive, name)
    assert apt.obtain(tmp_path / "debian", lambda source: source.newest(r"server-(\d+)")) == "server-16"


def test_libraries_are_followed_through_libraries(archive: Path, tmp_path: Path) -> None:
    """All that is missing here is found, over several steps; LLVM, installed libraries and programs are not."""
    publish(archive, "server", depends="libnear1, libc6, program, libllvm14 | libother")
    publish(archive, "libnear1", depends="libfar2 (>= 1.0)")
    for name in ("libfar2", "libbehind3", "libllvm14", "libother"):
        publish(archive, name)
    publish(archive, "program", depends="libbehind3")
    found = apt.obtain(tmp_path / "debian", lambda source: source.libraries("server"))
    assert found == ["libfar2", "libnear1", "libother"]


def test_of_two_versions_the_one_unpacked_last_counts(tmp_path: Path) -> None:
    """An old version beside a new one is not used, whatever its name sorts like."""
    for version in ("9.0-1", "10.0-1"):
        (tmp_path / f"server-{version}").mkdir()
        time.sleep(0.01)
    assert apt.root(tmp_path, "server").name == "server-10.0-1"
    with pytest.raises(apt.AptFailed, match="client"):
        apt.root(tmp_path, "client")
