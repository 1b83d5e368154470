"""Debian's packages, downloaded and unpacked into one folder: no root, nothing installed, no service started.

Layout: `<folder>/<name>-<version>/` is what `dpkg -x` makes of a package. It appears by a rename, so it is whole or
absent; `.tmp-*` is what a killed run left behind and is swept by the next one.
"""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from aegis_flows.errors import AegisError

Made = TypeVar("Made")

# Under root apt would drop to the user _apt, who cannot enter a folder below /root, and warn about it each time.
_QUIET = ("-q", "-o", "APT::Sandbox::User=root")


class AptFailed(AegisError):
    """apt or dpkg said no; the message carries what it wrote to stderr."""


@dataclass(frozen=True)
class Apt:
    """apt-get and dpkg as they look from one folder; `options` say which package lists to read."""

    folder: Path
    options: tuple[str, ...] = ()

    def unpack(self, *names: str) -> dict[str, Path]:
        """Where each package lies, downloaded and unpacked where it was not; AptFailed where it cannot be had."""
        absent = [name for name in names if not _versions(self.folder, name)]
        if absent:
            with tempfile.TemporaryDirectory(prefix=".tmp-", dir=self.folder) as temporary:
                self.get("download", *absent, cwd=Path(temporary))
                for archive in sorted(Path(temporary).glob("*.deb")):
                    _unpack(archive, self.folder)
        return {name: root(self.folder, name) for name in names}

    def newest(self, pattern: str) -> str:
        """The name with the highest number where `pattern` has its group, e.g. `postgresql-([0-9]+)`."""
        known = _run(["apt-cache", *self.options, "pkgnames"]).split()
        numbered = [(int(match[1]), match[0]) for name in known if (match := re.fullmatch(pattern, name))]
        if not numbered:
            raise AptFailed(f"apt knows no package {pattern}.")
        return max(numbered)[1]

    def libraries(self, *names: str) -> list[str]:
        """Shared libraries that these packages depend on, over libraries alone, and that are not installed here."""
        installed = set(_run(["dpkg-query", "-W", "-f", "${Package}\n"]).split())
        found: set[str] = set()
        level = list(names)
        while level:
            level = sorted(self._wanted(level) - found - installed)
            found.update(level)
        return sorted(found)

    def _wanted(self, names: Sequence[str]) -> set[str]:
        only = [f"--no-{kind}" for kind in ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")]
        return library_names(_run(["apt-cache", *self.options, "depends", *only, *names]))

    def get(self, *arguments: str, cwd: Path) -> None:
        """Runs apt-get quietly; AptFailed carries its stderr."""
        _run(["apt-get", *_QUIET, *self.options, *arguments], cwd=cwd)


def library_names(depends: str) -> set[str]:
    """Names of libraries in what `apt-cache depends` prints; libllvm is left out (112 MB for jit alone)."""
    names = set(re.findall(r"^[ |]*(?:Pre)?Depends: (lib\S+)$", depends, re.MULTILINE))
    return {name for name in names if not name.startswith("libllvm")}


def available() -> bool:
    return all(shutil.which(program) for program in ("apt-get", "apt-cache", "dpkg"))


def root(folder: Path, name: str) -> Path:
    """Where the package lies, the version unpacked last; AptFailed where it was never unpacked."""
    if versions := _versions(folder, name):
        return max(versions, key=lambda path: path.stat().st_mtime_ns)
    raise AptFailed(f"The package {name} is not in {folder.name}.")


def _versions(folder: Path, name: str) -> list[Path]:
    return list(folder.glob(f"{name}-[0-9]*"))


def obtain(folder: Path, work: Callable[[Apt], Made]) -> Made:
    """`work` with the machine's package lists; if that fails (empty or stale), again with our own fresh ones."""
    with _alone(folder):
        try:
            return work(Apt(folder))
        except AptFailed:
            return work(_with_own_lists(folder))


def _with_own_lists(folder: Path) -> Apt:
    lists, cache = folder / "apt" / "lists", folder / "apt" / "cache"
    for partial in (lists / "partial", cache / "archives" / "partial"):
        partial.mkdir(parents=True, exist_ok=True)
    apt = Apt(folder, ("-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={cache}"))
    apt.get("update", cwd=folder)
    return apt


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds the folder's lock (the kernel frees it when the holder dies) and sweeps what dead runs left."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in folder.glob(".tmp-*"):
            shutil.rmtree(leftover)
        yield


def _unpack(archive: Path, folder: Path) -> None:
    # The file is called <name>_<version>_<architecture>.deb, an epoch's colon written as %3a.
    name, version, _ = archive.name.split("_")
    tree = archive.with_suffix(".tree")
    _run(["dpkg", "-x", str(archive), str(tree)])
    tree.touch()  # dpkg gives it the archive's date; `root` asks for the one unpacked last
    tree.rename(folder / f"{name}-{version}")


def _run(command: Sequence[str], cwd: Path | None = None) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | {"LC_ALL": "C"}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise AptFailed(
            f"{command[0]} {command[-1]} failed: {done.stderr.strip().rstrip('.') or f'exit {done.returncode}'}."
        )
    return done.stdout
