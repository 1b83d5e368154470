"""The HTML report, read the way a browser reads it."""

import re
import subprocess
import sys
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from zipfile import ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_flows.ledger import GameDay, Span
from aegis_flows.report import render, write
from aegis_flows.stamps import StampName

VOID = {"meta", "link", "br", "wbr", "use", "path"}
ROOT = Path(__file__).parents[2]
EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}"


class Page(HTMLParser):
    """Elements, their attributes and text; complains about a tag that is not closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def values(self, attribute: str) -> list[str]:
        return [attrs[attribute] for _, attrs in self.tags if attribute in attrs]


@pytest.fixture(params=["held", "broke", "running", "crashed", "empty"])
def day(request: pytest.FixtureRequest) -> GameDay:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, GameDay)
    return found


def test_every_link_inside_the_page_has_its_target(day: GameDay) -> None:
    """Each number leads to its evidence row: every fragment is an id, and no id stands twice."""
    page = Page(render(day))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in page.values("href") if link.startswith("#")} <= set(ids)


def test_the_page_asks_the_network_for_nothing(day: GameDay) -> None:
    """No address is loaded: the only absolute ones are links to Prefect's pages, and the policy forbids the rest."""
    html = render(day)
    page = Page(html)
    assert not page.values("src")
    assert {link for link in page.values("href") if not link.startswith(("#", "data:,"))} <= {
        f"{day.prefect_url}/runs/flow-run/{run}" for run in re.findall(r"0192f3c4-[0-9a-f-]{27}", day.model_dump_json())
    }
    assert "url(" not in html
    assert "default-src 'none'" in html


def test_all_nine_stamps_are_shown_with_evidence(held: GameDay) -> None:
    """Source, id, sentence and actor of each stamp are in the page, for each drill on its own row."""
    page = Page(render(held))
    for number, drill in enumerate(held.drills, 1):
        assert {f"d{number}-{name}" for name in StampName} <= set(page.values("id"))
        for stamp in drill.stamps:
            assert all(told in page.text for told in (stamp.source, stamp.evidence, stamp.detail))
    assert page.text.count("person") >= 4
    assert page.text.count("automation") >= 8


def test_what_is_unproven_has_no_number_but_a_reason(broke: GameDay) -> None:
    """I7: a missing stamp and clocks that contradict each other both print as unproven, with why."""
    text = Page(render(broke)).text
    for told in broke.drills[1].durations:
        assert not told.unproven or told.unproven in text
    rows = re.findall(r'<tr role="row" id="d2-\w+" class="missing">.*?</tr>', render(broke), re.DOTALL)
    assert len(rows) == 2
    assert all("unproven" in row and "No evidence was recorded." in row for row in rows)
    assert not any(re.search(r"\d s\b", row) for row in rows)


def test_a_coarse_clock_is_said(held: GameDay) -> None:
    """PagerDuty tells whole seconds, so what it proves carries ± 1 s; Prometheus' milliseconds carry nothing."""
    text = Page(render(held)).text
    assert "7 s ± 1 s" in text
    assert "4.13 s ±" not in text


def test_the_same_history_gives_the_same_bytes(day: GameDay) -> None:
    """Nothing of the page comes from a clock, a random number or an order that may change."""
    again = GameDay.model_validate_json(day.model_dump_json())
    assert render(again) == render(day)


def test_text_from_outside_stays_text(held: GameDay) -> None:
    """A script in any field is shown as it is: no element and no attribute comes of it."""
    drill = held.drills[0]
    stamps = tuple(s.model_copy(update={"evidence": EVIL, "detail": EVIL, "source": EVIL}) for s in drill.stamps)
    span = Span(label=EVIL, start=drill.started, end=None, state=EVIL, run_id=EVIL)
    bad = drill.model_copy(
        update={"exercise": EVIL, "variant": EVIL, "why": EVIL, "stamps": stamps, "spans": {EVIL: (span,)}}
        | {"facts": (EVIL,), "commands": (EVIL,), "run_id": EVIL}
    )
    update = {"name": EVIL, "state": EVIL, "run_id": EVIL, "drills": (bad, bad)}
    page = Page(render(held.model_copy(update=update)))
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not {tag for tag, _ in page.tags} & {"img", "iframe", "object"}
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert EVIL in page.text


@pytest.mark.parametrize("address", ["javascript:alert(1)//", "", "data:text/html,x", " http://x"])
def test_only_http_addresses_become_links(held: GameDay, address: str) -> None:
    """Without Prefect's address, or with something else in its place, the page has no link outwards."""
    page = Page(render(held.model_copy(update={"prefect_url": address})))
    assert all(link.startswith(("#", "data:,")) for link in page.values("href"))


@given(st.text(max_size=40))
@settings(max_examples=25, deadline=None)
def test_any_name_gives_a_well_formed_page(name: str) -> None:
    """Whatever a run is called, the page stays well-formed."""
    day = GameDay.model_validate(
        {"name": name, "run_id": name, "started": "2026-11-23T09:30:04Z", "ended": None, "state": name}
    )
    Page(render(day))


def test_two_hundred_spans_stay_under_300_kb(held: GameDay) -> None:
    """A long game-day is still a file that one can mail."""
    drill = held.drills[0]
    spans = {
        lane: tuple(
            Span(
                label=f"{lane}: wait until alert {n} is firing",
                start=drill.started + timedelta(seconds=n / 2),
                end=drill.started + timedelta(seconds=n / 2 + 1),
                state="Completed",
                run_id=f"0192f3c4-0000-7aaa-8bbb-{n:012d}",
            )
            for n in range(50)
        )
        for lane in ("exercise", "playbook", "mitigation", "responder")
    }
    page = render(held.model_copy(update={"drills": (drill.model_copy(update={"spans": spans}), held.drills[1])}))
    assert len(page.encode()) < 300_000
    assert page.count('class="mark done') >= 200


def test_commands_are_copied_as_they_were(held: GameDay) -> None:
    """The code block's text is the commands, one a line, with no line break at the end that would run the last."""
    html = render(held)
    block = re.search(r'<code id="d1-commands">(.*?)</code>', html, re.DOTALL)
    assert block
    assert Page(f"<pre>{block[1]}</pre>").text == "\n".join(held.drills[0].commands)


def test_a_page_is_written_whole_or_not_at_all(held: GameDay, tmp_path: Path) -> None:
    """The file is replaced in one step; nothing else stays in the folder."""
    first = write(held.model_copy(update={"state": "Running", "ended": None}), tmp_path / "reports")
    second = write(held, tmp_path / "reports")
    assert first == second == tmp_path / "reports" / "gameday-2026-11-23.html"
    assert second.read_text("utf-8") == render(held)
    assert list(second.parent.iterdir()) == [second]


def test_a_failed_write_leaves_the_old_page(held: GameDay, tmp_path: Path) -> None:
    """When the page cannot take its place, the folder holds what it held before."""
    (tmp_path / "gameday-2026-11-23.html").mkdir()
    with pytest.raises(OSError, match=r"gameday-2026-11-23\.html"):
        write(held, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["gameday-2026-11-23.html"]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("../../etc/passwd", "etc-passwd"),
        ("day 1/2", "day-1-2"),
        ("..", "game-day"),
        ("", "game-day"),
        ("ä", "game-day"),
    ],
)
def test_a_name_cannot_leave_its_folder(empty: GameDay, tmp_path: Path, name: str, file: str) -> None:
    """A game-day's name comes from outside; whatever it is, the file lies in the folder asked for."""
    assert write(empty.model_copy(update={"name": name}), tmp_path) == tmp_path / f"{file}.html"


def test_a_lone_surrogate_is_written_as_a_question_mark(empty: GameDay, tmp_path: Path) -> None:
    """JSON can carry half a character, UTF-8 cannot: the report is written all the same."""
    assert "x?x" in write(empty.model_copy(update={"state": "x\ud800x"}), tmp_path).read_text("utf-8")


def _luminance(colour: str) -> float:
    digits = colour.strip("#")
    digits = digits if len(digits) == 6 else "".join(2 * c for c in digits)
    channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(a: str, b: str) -> float:
    high, low = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_read(empty: GameDay, scheme: int) -> None:
    """WCAG 2.2 AA: 4.5 to 1 for text on what lies under it, 3 to 1 for the timeline's bars."""
    roots = re.findall(r":root \{(.*?)\}", render(empty), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]+)", roots[scheme]))
    text = [("ink", "page"), ("ink", "card"), ("ink", "sunk"), ("soft", "page"), ("soft", "card"), ("soft", "sunk")]
    text += [("accent", "page"), ("accent", "card"), ("accent", "wash"), ("invalid", "sunk"), ("broke", "card")]
    text += [(tone, f"{tone}-wash") for tone in ("held", "broke", "invalid")]
    text += [("ink", f"{tone}-wash") for tone in ("broke", "invalid")]
    assert not [(a, b) for a, b in text if _contrast(colours[a], colours[b]) < 4.5]
    assert _contrast(colours["work"], colours["card"]) >= 3


def test_importing_the_report_does_not_load_rich() -> None:
    """A flow that only writes the page does not pay for the terminal's table."""
    code = "import sys, aegis_flows.report; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_wheel_carries_the_template(tmp_path: Path) -> None:
    """An installed package can render: template, style and script are in the wheel."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    with ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    assert {f"aegis_flows/report/{name}" for name in ("page.html.j2", "page.css", "copy.js")} <= names


def test_headings_leave_out_no_level(held: GameDay) -> None:
    """A screen reader's outline has no holes: h1, then h2, then h3."""
    levels = [int(tag[1]) for tag, _ in Page(render(held)).tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
