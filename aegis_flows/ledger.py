"""Stamps folded into durations. Pure: the same history gives the same ledger, to the byte."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Literal

from pydantic import AwareDatetime, Field

from aegis_flows.domain import Value
from aegis_flows.stamps import Stamp, StampName

Verdict = Literal["held", "broke", "invalid", "running"]

VERDICT, FACT = "drill-verdict", "drill-fact"
"""Keys of the artifacts that hold a drill's verdict and what else it has proven."""


def stamp_key(name: StampName) -> str:
    """Key of the artifact that holds this stamp."""
    return f"stamp-{name.replace('_', '-')}"


SPANS: dict[str, tuple[StampName, StampName]] = {
    "detect": (StampName.injected, StampName.firing),
    "notify": (StampName.firing, StampName.pagerduty_opened),
    "acknowledge": (StampName.pagerduty_opened, StampName.acknowledged),
    "mitigate": (StampName.firing, StampName.mitigated),
    "restore": (StampName.firing, StampName.restored),
}


class Duration(Value):
    """A time between two stamps; without both it is unproven and has no number."""

    name: str
    seconds: float | None
    resolution: float = Field(0.0, description="The coarser of the two clocks, in seconds.")
    unproven: str = Field("", description="Why there is no number.")


class Span(Value):
    """A piece of work on a lane of the timeline: a task or flow run."""

    label: str
    start: AwareDatetime
    end: AwareDatetime | None
    state: str
    run_id: str = ""


class Drill(Value):
    """One variant of one exercise, as Prefect's history tells it."""

    exercise: str
    variant: str
    run_id: str
    started: AwareDatetime
    ended: AwareDatetime | None
    verdict: Verdict
    why: str = ""
    stamps: tuple[Stamp, ...] = ()
    spans: dict[str, tuple[Span, ...]] = Field({}, description="Lane → its pieces of work.")
    facts: tuple[str, ...] = Field((), description="What else was proven, e.g. the counts of the migration.")
    commands: tuple[str, ...] = Field((), description="Every write that was made, as its command.")

    def stamp(self, name: StampName) -> Stamp | None:
        return next((s for s in self.stamps if s.name is name), None)

    @property
    def durations(self) -> tuple[Duration, ...]:
        return tuple(duration(name, self.stamp(a), self.stamp(b), (a, b)) for name, (a, b) in SPANS.items())


class GameDay(Value):
    """One game-day: its drills and how it ended."""

    name: str
    run_id: str
    started: AwareDatetime
    ended: AwareDatetime | None
    state: str
    drills: tuple[Drill, ...] = ()
    prefect_url: str = ""

    @property
    def held(self) -> bool:
        return bool(self.drills) and all(d.verdict == "held" for d in self.drills)


def duration(
    name: str, start: Stamp | None, end: Stamp | None, wanted: tuple[StampName, StampName] | None = None
) -> Duration:
    """The time from one stamp to another; clocks that disagree by more than they can tell are no proof."""
    if start is None or end is None:
        pairs = zip(wanted or ("start", "end"), (start, end), strict=True)
        missing = " and ".join(str(n) for n, s in pairs if s is None)
        return Duration(name=name, seconds=None, unproven=f"no stamp {missing}")
    resolution = max(start.resolution, end.resolution)
    apart = end.at - start.at
    if apart < -resolution:
        early = f"{end.source} tells a time {-apart.total_seconds():.3f} s before that of {start.source}"
        return Duration(name=name, seconds=None, unproven=early)
    seconds = max(apart, timedelta()).total_seconds()
    return Duration(name=name, seconds=round(seconds, 3), resolution=resolution.total_seconds())


def in_order(stamps: Iterable[Stamp]) -> tuple[Stamp, ...]:
    """One stamp of each name, the first that was recorded, in the order of the drill."""
    first: dict[StampName, Stamp] = {}
    for stamp in stamps:
        first.setdefault(stamp.name, stamp)
    return tuple(first[name] for name in StampName if name in first)
