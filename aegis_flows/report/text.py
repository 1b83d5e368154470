"""The same ledger as a Prefect artifact (markdown) and as a table in the terminal."""

from typing import TYPE_CHECKING

from aegis_flows.ledger import SPANS, Drill, GameDay
from aegis_flows.report import words
from aegis_flows.report.answers import headline
from aegis_flows.stamps import StampName

if TYPE_CHECKING:
    from rich.table import Table

STYLES = {"held": "bold green", "broke": "bold red", "invalid": "bold yellow", "running": "bold blue"}


def markdown(day: GameDay) -> str:
    """Per drill its verdict, nine stamps and five durations; text from outside is escaped."""
    said = headline(day)
    head = [f"# {_escaped(day.name)}: {_escaped(said.word)}", _escaped(said.sentence)]
    return "\n\n".join([*head, *(_drill(day, drill) for drill in day.drills)]) + "\n"


def _drill(day: GameDay, drill: Drill) -> str:
    page = words.run_page(day, drill.run_id)
    begun = f"{words.day_and_time(drill.started)}, {words.took(drill.started, drill.ended)}"
    head = f"## {_escaped(words.title(drill))}: {drill.verdict}"
    about = " · ".join(filter(None, (_escaped(drill.why), begun, f"[run](<{page}>)" if page else "")))
    stamps = ["| stamp | since injection | UTC | evidence | by |", "|---|---:|---|---|---|"]
    stamps += [_stamp_row(drill, name) for name in StampName]
    durations = ["| duration | time | why |", "|---|---:|---|"]
    durations += [f"| {d.name} | {words.told(d)} | {_escaped(d.unproven)} |" for d in drill.durations]
    return "\n\n".join((head, about, "\n".join(stamps), "\n".join(durations)))


def _stamp_row(drill: Drill, name: StampName) -> str:
    stamp = drill.stamp(name)
    if stamp is None:
        return f"| {words.spaced(name)} | {words.UNPROVEN} |  | no evidence recorded |  |"
    evidence = _escaped(f"{stamp.source}: {stamp.evidence}")
    time = words.clock(stamp.at, stamp.resolution)
    return f"| {words.spaced(name)} | {words.offset(stamp, drill)} | {time} | {evidence} | {stamp.by} |"


def _escaped(text: str) -> str:
    """Literal text for a markdown table's cell: no pipe, line break, tag, link or emphasis survives."""
    line = " ".join(_printable(text).split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{c}" if c in r"\`*_[]>|#~!$" else c for c in line)


def _printable(text: str) -> str:
    """Nothing that moves a cursor, colours a terminal or turns the reading direction."""
    return "".join(c if c.isprintable() else " " for c in text)


def table(day: GameDay) -> "Table":
    """Stamps are rows, drills are columns, durations come last."""
    from rich.table import Table
    from rich.text import Text

    said = headline(day)
    grid = Table(title=Text(_printable(f"{day.name}: {said.word}"), style=STYLES[said.tone]), title_justify="left")
    grid.add_column("")
    for drill in day.drills:
        grid.add_column(Text(_printable(words.title(drill))), justify="right")
    grid.add_row("verdict", *(Text(d.verdict, style=STYLES[d.verdict]) for d in day.drills), end_section=True)
    for name in StampName:
        cells = (Text(text, style=_style(text)) for text in (_stamp_cell(d, name) for d in day.drills))
        grid.add_row(words.spaced(name), *cells, end_section=name is StampName.restored)
    for index, span in enumerate(SPANS):
        cells = (Text(text, style=_style(text)) for text in (words.told(d.durations[index]) for d in day.drills))
        grid.add_row(Text(span, style="bold"), *cells)
    return grid


def _stamp_cell(drill: Drill, name: StampName) -> str:
    stamp = drill.stamp(name)
    if stamp is None:
        return words.UNPROVEN
    return f"{f'{stamp.by}, ' if stamp.by else ''}{words.offset(stamp, drill)}"


def _style(text: str) -> str:
    return "yellow" if text == words.UNPROVEN else ""
