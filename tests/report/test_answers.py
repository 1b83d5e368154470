"""What the first screen says, and that it never says more than is proven."""

import pytest

from aegis_flows.ledger import GameDay
from aegis_flows.report.answers import Answer, answers, changes, headline, slowest_step
from aegis_flows.stamps import StampName


def asked(day: GameDay) -> dict[str, Answer]:
    return {answer.question: answer for answer in answers(day)}


def test_a_day_that_held_answers_all_five(held: GameDay) -> None:
    """It fired, people heard, it took so long, everything is back, nothing has to change."""
    said = asked(held)
    assert headline(held).sentence == "Both drills held."
    assert said["Did it fire?"].answer == "Yes, 2 of 2"
    assert said["Who heard?"].answer == "Slack, PagerDuty and a person"
    assert said["How long?"].answer == "31.9 s"
    assert said["Is everything back?"].answer == "Yes, 2 of 2"
    assert changes(held) == ()
    assert slowest_step(held) == "mitigated → restored, 16.7 s (audit_backend_fail/kms)"


def test_a_broken_drill_is_the_first_thing_said(broke: GameDay) -> None:
    """One broken drill breaks the day; what is not proven to be back is not said to be back."""
    said = asked(broke)
    assert (headline(broke).tone, headline(broke).word) == ("broke", "broke")
    assert (said["Is everything back?"].answer, said["Is everything back?"].tone) == ("1 of 2", "broke")
    assert "audit_backend_fail/kms" in said["Is everything back?"].detail
    assert said["How long?"].detail.startswith("1 of 2 unproven")


def test_lessons_name_the_reason_the_gap_and_the_contradiction(broke: GameDay) -> None:
    """A drill teaches why it broke, which evidence is missing and which clocks disagree."""
    (change,) = changes(broke)
    why, missing, clocks = change.lessons
    assert (change.drill, why) == (2, broke.drills[1].why)
    assert missing == "No evidence of mitigated and restored."
    assert clocks.startswith("Notify is unproven: pagerduty tells a time 4.130 s before that of prometheus")


def test_a_running_day_is_neither_good_nor_bad(running: GameDay) -> None:
    """What may still come is not held against the drill, and teaches nothing yet."""
    said = asked(running)
    assert headline(running).word == "running"
    assert (said["Did it fire?"].answer, said["Did it fire?"].tone) == ("Yes", "held")
    assert (said["Who heard?"].answer, said["Who heard?"].tone) == ("Slack and PagerDuty", "running")
    assert (said["Is everything back?"].answer, said["Is everything back?"].tone) == ("Not yet", "running")
    assert changes(running) == ()


def test_a_crashed_day_waits_for_nothing(crashed: GameDay) -> None:
    """After a crash nothing will come any more: not proven, and somebody has to look."""
    said = asked(crashed)
    assert headline(crashed).word == "crashed"
    assert headline(crashed).sentence == "The drill was still running. The game-day itself ended Crashed."
    assert (said["Is everything back?"].answer, said["Is everything back?"].tone) == ("Not proven", "broke")
    assert "check that staging is restored" in changes(crashed)[0].lessons[0]
    assert changes(crashed)[1].lessons == ("No evidence of acknowledged, mitigated and restored.",)


@pytest.mark.parametrize("state", ["Crashed", "Cancelled", "Failed", "TimedOut"])
def test_drills_that_held_do_not_hide_a_day_that_did_not(held: GameDay, state: str) -> None:
    """The game-day's own end counts: all drills held, yet the day is not called held."""
    assert headline(held.model_copy(update={"state": state})).tone == "broke"


def test_a_day_without_a_drill_proves_nothing(empty: GameDay) -> None:
    """No drill is no success: nothing is answered with yes."""
    assert headline(empty).sentence == "No drill has been recorded. The game-day itself ended Failed."
    assert {answer.answer for answer in answers(empty)} == {"Not proven", "Unproven"}
    assert headline(empty.model_copy(update={"state": "Completed"})).word == "no drill"


def test_automation_is_not_called_a_person(held: GameDay) -> None:
    """An acknowledgement by a machine is not somebody who heard."""
    drills = tuple(
        drill.model_copy(
            update={
                "stamps": tuple(
                    s.model_copy(update={"by": "automation"}) if s.name is StampName.acknowledged else s
                    for s in drill.stamps
                )
            }
        )
        for drill in held.drills
    )
    assert asked(held.model_copy(update={"drills": drills}))["Who heard?"].answer == "Slack, PagerDuty and automation"


def test_an_invalid_drill_without_injection_says_so(held: GameDay) -> None:
    """A drill that was refused broke nothing that is recorded, and is no success either."""
    refused = held.drills[0].model_copy(update={"stamps": (), "verdict": "invalid", "why": "Not staging."})
    day = held.model_copy(update={"drills": (refused,)})
    assert asked(day)["Is everything back?"].detail == "no injection recorded for audit_backend_fail/bucket"
    assert headline(day).word == "invalid"
    assert changes(day)[0].lessons[0] == "Not staging."
