"""What raw samples of a counter tell, without windows: when it first and last grew. Pure."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from aegis_flows.domain import Value


class Series(Value):
    """Samples of one label set, oldest first."""

    labels: dict[str, str]
    points: tuple[tuple[datetime, float], ...]


def increases(series: Iterable[Series]) -> Iterator[datetime]:
    """The times at which a counter was seen to have grown since the sample before.

    A value below the one before is a restarted counter: what it shows has been counted since. The first sample of a
    series is no growth, for what it shows may be old.
    """
    for one in series:
        for (_, before), (at, now) in zip(one.points, one.points[1:], strict=False):
            if now > before or (now < before and now > 0):
                yield at


def first_increase(series: Iterable[Series]) -> datetime | None:
    return min(increases(series), default=None)


def last_increase(series: Iterable[Series]) -> datetime | None:
    return max(increases(series), default=None)


def first_sample(series: Iterable[Series]) -> datetime | None:
    return min((s.points[0][0] for s in series if s.points), default=None)


def last_sample(series: Iterable[Series]) -> datetime | None:
    return max((s.points[-1][0] for s in series if s.points), default=None)
