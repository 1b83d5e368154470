"""Where things stand on a drill's timeline: percentages along the axis, rows without overlaps. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import count
from math import ceil, floor
from unicodedata import east_asian_width

from aegis_flows.domain import Value
from aegis_flows.ledger import SPANS, Drill, Span
from aegis_flows.report import words
from aegis_flows.stamps import StampName

TRACK = 640.0  # px, the narrowest track of the page: what does not overlap here does not overlap on a wider one
LETTER = 6.6  # px, a wide letter of the page's label font
LONGEST = 34  # letters of a label; all of it stands in the mark's title
DOT = 22.0  # px, the numbered mark of a stamp
GAP = 10.0  # px between neighbours of a row
TICKS = 9  # at most, so that they stay apart on the narrowest track


class Scale(Value):
    """Seconds since `zero`, which is the injection or, without one, the drill's start."""

    start: datetime
    end: datetime
    zero: datetime

    def percent(self, at: datetime) -> float:
        return round(100 * ((at - self.start) / (self.end - self.start)), 3)

    def second(self, at: datetime) -> float:
        return (at - self.zero).total_seconds()


class Tick(Value):
    left: float
    label: str


class Mark(Value):
    """A bar with a label above it; a stamp is a bar without width, with a number."""

    kind: str
    label: str
    title: str
    href: str
    left: float
    width: float
    flip: bool
    cap: int
    row: int = 0
    number: int = 0


class Lane(Value):
    label: str
    marks: tuple[Mark, ...]

    @property
    def rows(self) -> int:
        return 1 + max(mark.row for mark in self.marks)


class Timeline(Value):
    ticks: tuple[Tick, ...]
    lanes: tuple[Lane, ...]
    since: str


def timeline(drill: Drill, anchor: str, run_page: Callable[[str], str]) -> Timeline:
    """`anchor` begins the ids of the drill's evidence rows; `run_page` tells a run's address or nothing."""
    to = scale(drill)
    works = {lane: [_work(span, to, run_page) for span in spans] for lane, spans in drill.spans.items()}
    lanes = (
        Lane(label="Durations", marks=_durations(drill, to, anchor)),
        Lane(label="Stamps", marks=in_rows(_stamps(drill, to, anchor))),
        *(Lane(label=lane, marks=in_rows(marks)) for lane, marks in works.items()),
    )
    since = "injection" if drill.stamp(StampName.injected) else "the drill's start"
    return Timeline(ticks=ticks(to), lanes=tuple(lane for lane in lanes if lane.marks), since=since)


def scale(drill: Drill) -> Scale:
    """From the first to the last known moment: no clock of its own, so the same history gives the same page."""
    spans = [span for lane in drill.spans.values() for span in lane]
    known = [drill.started, drill.ended, *(s.at for s in drill.stamps), *(t for s in spans for t in (s.start, s.end))]
    times = [at for at in known if at]
    injected = drill.stamp(StampName.injected)
    end = max(*times, min(times) + timedelta(seconds=1))
    return Scale(start=min(times), end=end, zero=injected.at if injected else drill.started)


def ticks(to: Scale) -> tuple[Tick, ...]:
    """Round seconds, 1, 2 or 5 times a power of ten apart."""
    first, last = to.second(to.start), to.second(to.end)
    step = next(s for s in (n * 10.0**k for k in count(-1) for n in (1, 2, 5)) if (last - first) / s <= TICKS)
    places = range(ceil(first / step), floor(last / step) + 1)
    return tuple(
        Tick(left=to.percent(to.zero + timedelta(seconds=n * step)), label=words.tick(n * step, digits=int(step < 1)))
        for n in places
    )


def in_rows(marks: Iterable[Mark]) -> tuple[Mark, ...]:
    """Every mark in the first row where it and its label touch no other."""
    ordered = sorted(marks, key=lambda mark: (mark.left, mark.number))
    rows = first_free_rows([extent(mark) for mark in ordered])
    return tuple(mark.model_copy(update={"row": row}) for mark, row in zip(ordered, rows, strict=True))


def first_free_rows(extents: Sequence[tuple[float, float]]) -> list[int]:
    ends: list[float] = []
    rows = []
    for start, end in extents:
        row = next((i for i, taken in enumerate(ends) if taken + GAP <= start), len(ends))
        ends[row : row + 1] = [end]
        rows.append(row)
    return rows


def extent(mark: Mark) -> tuple[float, float]:
    """What a mark and its label cover of the narrowest track, in px."""
    start, end = mark.left * TRACK / 100, (mark.left + mark.width) * TRACK / 100
    if mark.number:
        return (start - DOT / 2 - mark.cap, end + DOT / 2) if mark.flip else (start - DOT / 2, end + DOT / 2 + mark.cap)
    return (min(start, end - mark.cap), end) if mark.flip else (start, max(end, start + mark.cap))


def _durations(drill: Drill, to: Scale, anchor: str) -> tuple[Mark, ...]:
    """One row for each, in the ledger's order."""
    marks: list[Mark] = []
    for told in drill.durations:
        start, end = (drill.stamp(name) for name in SPANS[told.name])
        if start and end and told.seconds is not None:
            text = f"{told.name} {words.told(told)}"
            hint = f"{text}: from {words.spaced(start.name)} to {words.spaced(end.name)}"
            first, last = sorted((start.at, end.at))
            mark = _mark("duration", text, hint, f"#{anchor}-{end.name}", to.percent(first), to.percent(last))
            marks.append(mark.model_copy(update={"row": len(marks)}))
    return tuple(marks)


def _stamps(drill: Drill, to: Scale, anchor: str) -> list[Mark]:
    marks = []
    for number, name in enumerate(StampName, 1):
        if stamp := drill.stamp(name):
            said = f"{words.spaced(name)} {'' if name is StampName.injected else words.offset(stamp, drill)}".strip()
            hint = f"{said}, told by {stamp.source}: {stamp.evidence}"
            left = to.percent(stamp.at)
            marks.append(_mark("stamp", said, hint, f"#{anchor}-{name}", left, left, number))
    return marks


def _work(span: Span, to: Scale, run_page: Callable[[str], str]) -> Mark:
    end = span.end or to.end
    length = words.seconds(max(0.0, (end - span.start).total_seconds())) if span.end else "not ended"
    hint = f"{span.label}: {span.state}, {words.clock(span.start)} UTC, {length}"
    label = span.label if tone(span) != "failed" else f"✕ {span.label}"
    return _mark(tone(span), label, hint, run_page(span.run_id), to.percent(span.start), to.percent(end))


def tone(span: Span) -> str:
    state = span.state.lower()
    if state in {"failed", "crashed", "timedout", "cancelled", "cancelling"}:
        return "failed"
    return "open" if span.end is None else "done"


def _mark(kind: str, label: str, title: str, href: str, left: float, right: float, number: int = 0) -> Mark:
    short = label if _letters(label) <= LONGEST else f"{next(_cuts(label))}…"
    cap = ceil(LETTER * _letters(short)) + 6
    edge = left * TRACK / 100 + cap + (DOT / 2 if number else 0)
    width = max(0.0, right - left)
    return Mark(
        kind=kind,
        label=short,
        title=title,
        href=href,
        left=left,
        width=width,
        flip=edge > TRACK,
        cap=cap,
        number=number,
    )


def _letters(text: str) -> int:
    """The width of a text in letters; those of a wide script count double."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _cuts(text: str) -> Iterator[str]:
    """The beginnings of a text that leave room for the sign that it was cut, longest first."""
    return (text[:end] for end in range(LONGEST - 1, 0, -1) if _letters(text[:end]) < LONGEST)
