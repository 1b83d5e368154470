from datetime import UTC, datetime, timedelta

from aegis_flows.samples import Series, first_increase, first_sample, last_increase, last_sample

START = datetime(2026, 11, 1, tzinfo=UTC)


def series(*values: float) -> Series:
    return Series(labels={}, points=tuple((START + timedelta(seconds=i), v) for i, v in enumerate(values)))


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def test_growth_is_seen_at_the_sample_that_shows_it() -> None:
    """First and last growth, over several pods."""
    pods = [series(0, 0, 2, 2, 2), series(5, 5, 5, 6, 6)]
    assert (first_increase(pods), last_increase(pods)) == (at(2), at(3))


def test_old_errors_are_no_growth() -> None:
    """A counter that was high before and stays there tells nothing of now."""
    assert first_increase([series(7, 7, 7)]) is None


def test_restarted_counter_has_grown_from_zero() -> None:
    """A pod that restarts and fails again is failing, though its counter is lower than before."""
    assert last_increase([series(9, 9, 1, 1)]) == at(2)
    assert last_increase([series(9, 9, 0, 0)]) is None


def test_ends_of_no_samples_are_unknown() -> None:
    """No samples is no proof."""
    assert first_sample([]) is None
    assert last_sample([series()]) is None
    assert (first_sample([series(1, 1)]), last_sample([series(1, 1)])) == (at(0), at(1))
