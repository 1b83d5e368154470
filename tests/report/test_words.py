"""How times are said."""

from datetime import UTC, datetime, timedelta

import pytest

from aegis_flows.ledger import Duration
from aegis_flows.report import words


@pytest.mark.parametrize(
    ("value", "resolution", "said"),
    [
        (0.0, 0.001, "0.00 s"),
        (4.13, 0.001, "4.13 s"),
        (9.996, 0.001, "10.0 s"),
        (31.94, 0.001, "31.9 s"),
        (4.13, 0.1, "4.1 s"),
        (4.13, 0.25, "4.1 s ± 0.25 s"),
        (6.6, 1.0, "7 s ± 1 s"),
        (119.94, 0.001, "119.9 s"),
        (120.0, 0.001, "2 min 00 s"),
        (134.2, 1.0, "2 min 14 s ± 1 s"),
        (3719.7, 0.001, "1 h 02 min"),
    ],
)
def test_a_time_is_said_as_finely_as_its_clock_tells_it(value: float, resolution: float, said: str) -> None:
    """A resolution coarser than 0.1 s is shown as ±, and no digit is shown that the clock cannot tell."""
    assert words.seconds(value, resolution) == said


def test_a_time_without_evidence_is_unproven() -> None:
    """There is no number for it, not even zero."""
    assert words.told(Duration(name="detect", seconds=None, unproven="no stamp firing")) == "unproven"
    assert words.told(Duration(name="detect", seconds=0.0)) == "0.00 s"


def test_a_clock_that_tells_seconds_shows_no_milliseconds() -> None:
    """The time of day has the digits of its source, in UTC wherever it was told."""
    at = datetime(2026, 11, 23, 9, 30, 4, 120_000, tzinfo=UTC)
    assert words.clock(at, timedelta(seconds=1)) == "09:30:04"
    assert words.clock(at) == "09:30:04.120"


@pytest.mark.parametrize(
    ("parts", "said"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_lists_read_like_sentences(parts: list[str], said: str) -> None:
    """The last two are joined by a word."""
    assert words.listed(parts) == said
