from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from aegis_flows.ledger import Drill, GameDay, duration, in_order
from aegis_flows.stamps import Stamp, StampName

START = datetime(2026, 11, 1, 14, tzinfo=UTC)


def stamp(name: StampName, seconds: float, resolution: float = 0.001) -> Stamp:
    return Stamp(
        name=name,
        at=START + timedelta(seconds=seconds),
        source="here",
        evidence="id",
        resolution=timedelta(seconds=resolution),
    )


def drill(*stamps: Stamp, verdict: str = "held") -> Drill:
    return Drill.model_validate(
        {"exercise": "e", "variant": "v", "run_id": "r", "started": START, "ended": START, "verdict": verdict}
        | {"stamps": stamps}
    )


def test_durations_are_between_their_stamps() -> None:
    """Detect from injection to firing, restore from firing to restored."""
    told = {d.name: d.seconds for d in drill(*(stamp(n, i * 2) for i, n in enumerate(StampName))).durations}
    assert told == {"detect": 4.0, "notify": 6.0, "acknowledge": 2.0, "mitigate": 10.0, "restore": 12.0}


def test_missing_stamp_is_unproven_and_never_a_number() -> None:
    """What has no evidence has no time, and says which stamp is missing."""
    told = {d.name: d for d in drill(stamp(StampName.injected, 0), stamp(StampName.firing, 5)).durations}
    assert told["detect"].seconds == 5
    assert told["restore"].seconds is None
    assert told["restore"].unproven == "no stamp restored"


def test_clocks_may_disagree_by_what_they_can_tell_and_no_more() -> None:
    """PagerDuty tells whole seconds: half a second early is zero, two seconds early proves nothing."""
    firing = stamp(StampName.firing, 10)
    assert duration("notify", firing, stamp(StampName.pagerduty_opened, 9.5, resolution=1)).seconds == 0
    early = duration("notify", firing, stamp(StampName.pagerduty_opened, 8, resolution=1))
    assert early.seconds is None
    assert early.unproven == "here tells a time 2.000 s before that of here"


@given(st.permutations(list(StampName)))
def test_the_order_of_recording_does_not_matter(names: list[StampName]) -> None:
    """The same stamps give the same ledger."""
    assert [s.name for s in in_order(stamp(n, 0) for n in names)] == list(StampName)


def test_first_stamp_of_a_name_counts() -> None:
    """A rerun does not move a moment that was already seen."""
    [only] = in_order([stamp(StampName.firing, 1), stamp(StampName.firing, 9)])
    assert only.at == START + timedelta(seconds=1)


def test_game_day_holds_only_when_every_drill_held() -> None:
    """An invalid drill is never a pass, and neither is no drill at all."""

    def day(*verdicts: str) -> GameDay:
        drills = tuple(drill(verdict=v) for v in verdicts)
        return GameDay(name="n", run_id="r", started=START, ended=START, state="Completed", drills=drills)

    assert day("held", "held").held
    assert not day("held", "invalid").held
    assert not day().held
