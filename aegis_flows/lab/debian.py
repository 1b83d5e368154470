"""The real programs of the lab: Prometheus, Alertmanager and PostgreSQL, from Debian's packages or from PATH."""

import argparse
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path

from aegis_flows.errors import AegisError
from aegis_flows.lab import apt

CACHE = Path(".cache")  # of the repository, where `make` runs; ignored by git

# Debian's Alertmanager reads its message templates from this folder and has no flag to say otherwise.
_TEMPLATES = b"/usr/share/prometheus/alertmanager"


class ProgramMissing(AegisError):
    """A program of the lab is neither cached, nor to be had from apt, nor on PATH."""


@dataclass(frozen=True)
class Binaries:
    """Absolute paths of programs that start on this machine."""

    prometheus: Path
    promtool: Path
    alertmanager: Path
    amtool: Path
    postgres: Path
    initdb: Path
    pg_isready: Path
    # LD_LIBRARY_PATH for PostgreSQL's programs; empty: the system's libraries serve.
    library_path: str = field(default="", kw_only=True)

    @property
    def programs(self) -> dict[str, Path]:
        return {each.name: getattr(self, each.name) for each in fields(self) if each.type is Path}

    @property
    def prometheus_pages(self) -> Path | None:
        """Where Debian's Prometheus keeps its web pages; other builds carry them inside."""
        pages = self.prometheus.parents[1] / "share/prometheus/web"
        return pages if pages.is_dir() else None


def ensure(cache: Path = CACHE) -> Binaries:
    """The programs from the cache, else from apt, else from PATH; ProgramMissing says what to install."""
    folder = cache.resolve() / "debian"
    if ready := _cached(folder):
        return ready
    if not apt.available():
        return _on_path("there is no apt-get here")
    try:
        return apt.obtain(folder, _download)
    except apt.AptFailed as error:
        return _on_path(str(error))


def _cached(folder: Path) -> Binaries | None:
    """What an earlier run left, if it is whole and still starts: the system's own libraries may have changed."""
    try:
        binaries = _assembled(folder)
    except apt.AptFailed:
        return None
    return None if _missing_libraries(binaries) else binaries


def _download(source: apt.Apt) -> Binaries:
    newest = source.newest(r"postgresql-(\d+)")
    server = (newest, newest.replace("-", "-client-"), "libpq5")
    roots = source.unpack("prometheus", "prometheus-alertmanager", *server)
    if not (roots["prometheus"] / "usr/bin/promtool").exists():
        source.unpack("promtool")  # a package of its own since Debian 13
    _make_movable(roots["prometheus-alertmanager"])
    if _missing_libraries(_assembled(source.folder)):
        source.unpack(*source.libraries(*server))
    if missing := _missing_libraries(_assembled(source.folder)):
        raise apt.AptFailed(f"PostgreSQL wants {', '.join(missing)}, which none of its packages brings.")
    return _assembled(source.folder)


def _assembled(folder: Path) -> Binaries:
    """The programs inside the unpacked packages; AptFailed names a package or program that is not there."""
    number = max((int(path.name.split("-")[1]) for path in folder.glob("postgresql-[0-9]*")), default=0)
    prometheus = apt.root(folder, "prometheus") / "usr/bin"
    promtool = prometheus if (prometheus / "promtool").exists() else apt.root(folder, "promtool") / "usr/bin"
    alertmanager = apt.root(folder, "prometheus-alertmanager") / "usr/bin"
    server = apt.root(folder, f"postgresql-{number}") / f"usr/lib/postgresql/{number}/bin"
    client = apt.root(folder, f"postgresql-client-{number}") / f"usr/lib/postgresql/{number}/bin"
    binaries = Binaries(
        prometheus=prometheus / "prometheus",
        promtool=promtool / "promtool",
        alertmanager=alertmanager / "alertmanager",
        amtool=alertmanager / "amtool",
        postgres=server / "postgres",
        initdb=server / "initdb",
        pg_isready=client / "pg_isready",
        library_path=":".join(map(str, _library_folders(folder))),
    )
    if absent := [name for name, path in binaries.programs.items() if not path.exists()]:
        raise apt.AptFailed(f"The packages do not hold {', '.join(absent)}.")
    return binaries


def _library_folders(folder: Path) -> list[Path]:
    found = [*folder.glob("lib*/usr/lib/*-linux-gnu*"), *folder.glob("lib*/lib/*-linux-gnu*")]
    return sorted(path for path in found if path.is_dir())


def _missing_libraries(binaries: Binaries) -> list[str]:
    """Shared libraries that the loader does not find for PostgreSQL's programs."""
    done = subprocess.run(
        ["ldd", str(binaries.postgres), str(binaries.initdb), str(binaries.pg_isready)],
        env=os.environ | {"LD_LIBRARY_PATH": binaries.library_path},
        capture_output=True,
        text=True,
        check=False,
    )
    return sorted(set(re.findall(r"^\s*(\S+) => not found", done.stdout, re.MULTILINE)))


def _make_movable(root: Path) -> None:
    """Lets Debian's Alertmanager run from its unpacked package, by the script `usr/bin/alertmanager`.

    The program's absolute template folder becomes a relative one of the same length, and the script starts it where
    that leads to the package's own templates. So paths given to the script must be absolute.
    """
    program = root / "usr/bin/prometheus-alertmanager"
    _write_program(program, program.read_bytes().replace(_TEMPLATES, _TEMPLATES[1:] + b"/"))
    script = b'#!/bin/sh\ncd "${0%/*}/../.." && exec usr/bin/prometheus-alertmanager "$@"\n'
    _write_program(root / "usr/bin/alertmanager", script)


def _write_program(path: Path, content: bytes) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_bytes(content)
    unfinished.chmod(0o755)
    unfinished.rename(path)


def _on_path(reason: str) -> Binaries:
    """The programs of this machine, by the names that upstream or Debian gives them."""
    names = [each.name for each in fields(Binaries) if each.type is Path]
    found = {name: _which(name) or _which(f"prometheus-{name}") for name in names}
    if missing := [name for name, path in found.items() if path is None]:
        raise ProgramMissing(
            f"The lab needs {', '.join(missing)}: not on PATH, and {reason.rstrip('.')}.",
            advice="Install Prometheus, Alertmanager and PostgreSQL (14.9 or newer, with pg_trgm); on Debian: "
            "apt-get install prometheus prometheus-alertmanager postgresql.",
        )
    return Binaries(*(Path(path) for path in found.values() if path))


def _which(name: str) -> str | None:
    # Debian installs PostgreSQL's server programs beside PATH, a folder for each major version.
    servers = sorted(Path("/usr/lib/postgresql").glob("[0-9]*/bin"), key=lambda path: -int(path.parent.name))
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, servers)))


def main() -> None:
    """Fetches what is missing and prints one line per package."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder to keep the packages in (default: .cache)")
    cache: Path = parser.parse_args().cache
    try:
        binaries = ensure(cache)
    except ProgramMissing as error:
        sys.exit(str(error))
    print("\n".join(dict.fromkeys(_origin(path, cache) for path in binaries.programs.values())))


def _origin(program: Path, cache: Path) -> str:
    folder = cache.resolve() / "debian"
    return program.relative_to(folder).parts[0] if program.is_relative_to(folder) else str(program)


if __name__ == "__main__":
    main()
