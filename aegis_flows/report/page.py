"""One game-day as one HTML file that needs nothing else: no network, no fonts, no images."""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from re import sub
from uuid import uuid4

from jinja2 import Environment, PackageLoader, StrictUndefined

from aegis_flows.domain import Value
from aegis_flows.ledger import SPANS, Drill, Duration, GameDay
from aegis_flows.report import answers, words
from aegis_flows.report.timeline import Timeline, timeline
from aegis_flows.stamps import Stamp, StampName


class Tile(Value):
    """A duration with the two stamps that prove it."""

    duration: Duration
    ends: tuple[StampName, StampName]


class Row(Value):
    """A stamp's place among the nine, whether it has its evidence or not."""

    number: int
    name: StampName
    stamp: Stamp | None


class Sheet(Value):
    """One drill, ready to be laid out; `anchor` begins the ids of its elements."""

    anchor: str
    drill: Drill
    tiles: tuple[Tile, ...]
    rows: tuple[Row, ...]
    timeline: Timeline
    run_page: str


def render(day: GameDay) -> str:
    """A pure function of the ledger: the same game-day gives the same bytes."""
    script = _templates().get_template("copy.js").render()
    return (
        _templates()
        .get_template("page.html.j2")
        .render(
            day=day,
            headline=answers.headline(day),
            answers=answers.answers(day),
            alive=answers.alive(day),
            changes=answers.changes(day),
            slowest_step=answers.slowest_step(day),
            sheets=[sheet(day, drill, f"d{number}") for number, drill in enumerate(day.drills, 1)],
            run_page=words.run_page(day, day.run_id),
            script=script,
            script_hash=b64encode(sha256(script.encode()).digest()).decode(),
            words=words,
            names=list(StampName),
        )
    )


def write(day: GameDay, folder: Path) -> Path:
    """The page as `<folder>/<name>.html`; a reader sees the old page or the new one, never half of it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{_file_name(day.name)}.html"
    fresh = folder / f".{uuid4().hex}.tmp"
    try:
        fresh.write_bytes(render(day).encode(errors="replace"))
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return path


def sheet(day: GameDay, drill: Drill, anchor: str) -> Sheet:
    return Sheet(
        anchor=anchor,
        drill=drill,
        tiles=tuple(Tile(duration=d, ends=SPANS[d.name]) for d in drill.durations),
        rows=tuple(Row(number=n, name=name, stamp=drill.stamp(name)) for n, name in enumerate(StampName, 1)),
        timeline=timeline(drill, anchor, lambda run_id: words.run_page(day, run_id)),
        run_page=words.run_page(day, drill.run_id),
    )


@cache
def _templates() -> Environment:
    loader = PackageLoader("aegis_flows.report", "")
    templates = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    templates.filters["unbroken"] = _unbroken
    return templates


def _unbroken(text: str) -> str:
    """A number keeps its unit and its ± on its own line."""
    return sub(r"(?<=\d) (?=(?:s|min|h)\b)|(?<=s) (?=±)|(?<=±) ", "\N{NO-BREAK SPACE}", text)


def _file_name(name: str) -> str:
    """A game-day's name comes from outside: it stays in its folder and within a file system's 255 bytes."""
    return sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:150] or "game-day"
