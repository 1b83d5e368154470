from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun, StateType

from aegis_flows.domain import Incident
from aegis_flows.gateway.payload import Firing
from aegis_flows.gateway.playbooks import ANSWERS_UNTIL, answering, idempotency_key

SIX = datetime(2026, 11, 23, 6, tzinfo=UTC)


def firing(minute: int) -> Firing:
    began = SIX + timedelta(minutes=minute)
    return Firing(incident=Incident(alertname="A", dedup_key="k", starts_at=began), latest=began)


def run(state: StateType, until: int | None) -> FlowRun:
    label = {} if until is None else {ANSWERS_UNTIL: (SIX + timedelta(minutes=until)).isoformat()}
    return FlowRun(flow_id=uuid4(), state_type=state, labels=label)


@pytest.mark.parametrize("state", [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.PAUSED])
def test_a_run_at_work_answers_for_every_alert(state: StateType) -> None:
    """While a playbook works, even an alert that began after it starts nothing."""
    at_work, done = run(state, until=1), run(StateType.COMPLETED, until=9)
    assert answering(firing(5), [done, at_work]) is at_work


def test_a_run_that_a_killed_worker_left_running_does_not_silence_its_alert() -> None:
    """An alert that starts hours after such a run was made gets a playbook of its own."""
    left = run(StateType.RUNNING, until=1).model_copy(update={"created": SIX})
    assert answering(firing(119), [left]) is left
    assert answering(firing(121), [left]) is None


@pytest.mark.parametrize(
    "state",
    [StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED, StateType.CANCELLING],
)
def test_a_run_that_ended_answers_for_its_own_alerts(state: StateType) -> None:
    """Repeats, late deliveries and what is left of the group start nothing; what began later does."""
    ended = run(state, until=5)
    assert answering(firing(0), [ended]) is ended
    assert answering(firing(5), [ended]) is ended
    assert answering(firing(6), [ended]) is None


def test_a_run_of_somebody_else_answers_for_nothing() -> None:
    """A finished run with the same tags that no gateway made does not silence an alert."""
    assert answering(firing(0), [run(StateType.COMPLETED, until=None)]) is None


def test_the_key_knows_group_name_and_start() -> None:
    """The idempotency key is made of nothing else: it is equal at every gateway."""
    assert idempotency_key(firing(0).incident) == "k:A:2026-11-23T06:00:00+00:00"
