"""The ledger as markdown and in the terminal."""

import re
from io import StringIO

from rich.console import Console

from aegis_flows.ledger import GameDay
from aegis_flows.report import markdown, table
from aegis_flows.stamps import StampName

EVIL = "a|b\n| c | [x](http://evil) <b>`*_\x1b[31m\u202e [red]no[/red]"


def printed(day: GameDay) -> str:
    console = Console(file=StringIO(), width=120, force_terminal=False)
    console.print(table(day))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def columns(line: str) -> int:
    return len(re.findall(r"(?<!\\)\|", line)) - 1


def test_markdown_has_nine_stamps_and_five_durations_for_each_drill(broke: GameDay) -> None:
    """Missing ones have their row too, and say unproven."""
    sections = markdown(broke).split("\n## ")[1:]
    assert len(sections) == 2
    for section in sections:
        rows = [line for line in section.splitlines() if line.startswith("|") and not line.startswith("|--")]
        assert len(rows) == 1 + len(StampName) + 1 + 5
    assert sections[1].startswith("audit\\_backend\\_fail/kms: broke\n")
    assert sections[1].count("| unproven |") == 5
    assert "| acknowledge | 12 s ± 1 s |" in sections[1]


def test_no_text_from_outside_breaks_a_markdown_table(held: GameDay) -> None:
    """Pipes, line breaks, tags, links and control characters stay text within their cell."""
    drill = held.drills[0]
    stamps = tuple(s.model_copy(update={"evidence": EVIL, "source": EVIL}) for s in drill.stamps)
    bad = drill.model_copy(update={"stamps": stamps, "why": EVIL, "variant": EVIL})
    text = markdown(held.model_copy(update={"drills": (bad,), "name": EVIL}))
    assert {columns(line) for line in text.splitlines() if line.startswith("|")} == {5, 3}
    assert "<b>" not in text
    assert not re.search(r"(?<!\\)\]\(http://evil", text)
    assert "\x1b" not in text


def test_markdown_links_to_the_runs(held: GameDay) -> None:
    """Each drill leads to its run in Prefect; without an address there is no link."""
    assert f"[run](<http://127.0.0.1:4200/runs/flow-run/{held.drills[0].run_id}>)" in markdown(held)
    assert "](" not in markdown(held.model_copy(update={"prefect_url": "javascript:alert(1)"}))


def test_the_terminal_shows_stamps_as_rows_and_drills_as_columns(broke: GameDay) -> None:
    """Verdict, nine stamps, five durations; people and automation are told apart."""
    lines = printed(broke).splitlines()
    row = {cells[0]: cells[1:] for line in lines if len(cells := [c.strip() for c in line.split("│")[1:-1]]) == 3}
    assert row["verdict"] == ["held", "broke"]
    assert row["acknowledged"] == ["person, +12 s ± 1 s", "person, +12 s ± 1 s"]
    assert row["restored"] == ["automation, +36.0 s", "unproven"]
    assert row["mitigate"] == ["15.2 s", "unproven"]
    assert len(row) == 1 + len(StampName) + 5


def test_no_text_from_outside_steers_the_terminal(held: GameDay) -> None:
    """Escape sequences do nothing and rich's markup is shown as it is."""
    bad = held.drills[0].model_copy(update={"variant": EVIL})
    text = printed(held.model_copy(update={"drills": (bad,), "name": EVIL}))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[red]no[/red]" in text


def test_a_day_without_drills_still_prints(empty: GameDay) -> None:
    """Nothing to show is shown as that."""
    assert "failed" in printed(empty)
    assert markdown(empty).startswith("# gameday-2026-11-26: failed\n")
