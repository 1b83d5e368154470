"""The timeline's geometry."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from aegis_flows.ledger import Drill, GameDay, Span
from aegis_flows.report.timeline import GAP, TRACK, Timeline, extent, first_free_rows, timeline
from aegis_flows.stamps import StampName


def laid_out(drill: Drill) -> Timeline:
    return timeline(drill, "d1", lambda run_id: f"http://prefect/{run_id}")


def test_no_label_touches_another(held: GameDay, broke: GameDay, running: GameDay) -> None:
    """Within a row, marks and their labels keep their distance, and all of them stay on the narrowest track."""
    lanes = [lane for day in (held, broke, running) for drill in day.drills for lane in laid_out(drill).lanes]
    for lane in lanes:
        rows = defaultdict(list)
        for mark in lane.marks:
            rows[mark.row].append(extent(mark))
            assert extent(mark)[0] >= -11
            assert extent(mark)[1] <= TRACK + 11
        for row in rows.values():
            assert all(left[1] + GAP <= right[0] for left, right in pairwise(sorted(row)))


@given(st.lists(st.tuples(st.floats(0, 600), st.floats(0, 200)), max_size=60))
def test_rows_are_free_of_overlaps(spans: list[tuple[float, float]]) -> None:
    """Whatever begins when, what shares a row does not overlap."""
    extents = sorted((start, start + width) for start, width in spans)
    rows = first_free_rows(extents)
    assert len(rows) == len(extents)
    for row in set(rows):
        mine = sorted(e for e, r in zip(extents, rows, strict=True) if r == row)
        assert all(left[1] + GAP <= right[0] for left, right in pairwise(mine))


def test_the_axis_counts_round_seconds_from_the_injection(held: GameDay) -> None:
    """Zero is the injection, wherever the drill began; what came before has a minus."""
    told = laid_out(held.drills[0])
    labels = [tick.label for tick in told.ticks]
    assert labels == ["\N{MINUS SIGN}5 s", "0 s", "5 s", "10 s", "15 s", "20 s", "25 s", "30 s", "35 s"]
    stamps = next(lane for lane in told.lanes if lane.label == "Stamps")
    assert told.since == "injection"
    assert next(m.left for m in stamps.marks if m.number == 1) == told.ticks[1].left


@given(st.floats(0.001, 1e6))
def test_ticks_stay_apart_at_any_length(seconds: float) -> None:
    """From a millisecond to eleven days the axis has between one and ten ticks, all of them on it."""
    drill = _bare(timedelta(seconds=seconds))
    ticks = laid_out(drill).ticks
    assert 1 <= len(ticks) <= 10
    assert all(-0.01 <= tick.left <= 100.01 for tick in ticks)
    assert len({tick.label for tick in ticks}) == len(ticks)


def test_without_an_injection_the_axis_counts_from_the_start() -> None:
    """A drill that never broke anything still has a readable axis, and the page says where it begins."""
    told = laid_out(_bare(timedelta(seconds=10)))
    assert (told.since, told.lanes, told.ticks[0].left) == ("the drill's start", (), 0.0)


def test_a_missing_stamp_has_neither_mark_nor_bar(broke: GameDay) -> None:
    """What is unproven is not drawn: the timeline shows evidence alone."""
    lanes = {lane.label: lane.marks for lane in laid_out(broke.drills[1]).lanes}
    assert {m.number for m in lanes["Stamps"]} == {1, 2, 3, 4, 5, 6, 7}
    assert [m.label.split()[0] for m in lanes["Durations"]] == ["detect", "acknowledge"]


def test_work_that_has_not_ended_reaches_the_last_known_moment(running: GameDay) -> None:
    """A running span is open to the right; nothing is drawn after what is known."""
    lanes = {lane.label: lane.marks for lane in laid_out(running.drills[0]).lanes}
    (waiting,) = (m for m in lanes["Exercise"] if m.kind == "open")
    assert waiting.left + waiting.width == 100
    assert "not ended" in waiting.title


def test_failed_work_differs_by_sign_and_not_by_colour_alone(broke: GameDay) -> None:
    """A failed span carries a cross in its label."""
    marks = [mark for lane in laid_out(broke.drills[1]).lanes for mark in lane.marks]
    assert {mark.label for mark in marks if mark.kind == "failed"} == {"✕ suspended: approval"}


def test_a_long_name_is_cut_in_its_label_and_whole_in_its_title(held: GameDay) -> None:
    """A label never grows over its neighbours; a wide script counts double."""
    drill = held.drills[0]
    span = Span(label="監査" * 40, start=drill.started, end=None, state="Running")
    (mark,) = laid_out(drill.model_copy(update={"spans": {"x": (span,)}})).lanes[-1].marks
    assert mark.label == "監査" * 8 + "…"
    assert span.label in mark.title
    assert mark.cap < TRACK / 2


def test_each_mark_leads_to_its_evidence(held: GameDay) -> None:
    """Stamps and durations link to the row that proves them, work to its run."""
    lanes = {lane.label: lane.marks for lane in laid_out(held.drills[0]).lanes}
    assert {m.href for m in lanes["Stamps"]} == {f"#d1-{name}" for name in StampName}
    assert next(m.href for m in lanes["Durations"] if m.label.startswith("restore")) == "#d1-restored"
    assert all(m.href.startswith("http://prefect/0192f3c4-") for m in lanes["Exercise"])


def _bare(length: timedelta) -> Drill:
    begun = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    return Drill(exercise="x", variant="", run_id="", started=begun, ended=begun + length, verdict="invalid")
