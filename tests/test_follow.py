"""What the command line says of a game-day, asked of a real Prefect server that has no worker."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_TO_API_ENABLED, temporary_settings
from prefect.states import Cancelling, Completed, Running

from aegis_flows import follow, journal
from aegis_flows.clients import Clients, clients, using
from aegis_flows.errors import TooLate
from aegis_flows.faults import Fault
from aegis_flows.ledger import Drill, GameDay
from aegis_flows.operation import later
from aegis_flows.settings import Settings
from tasks import kube
from tests.lab.kube import standin

START = datetime(2026, 11, 1, 14, tzinfo=UTC)


@pytest.fixture
def client(prefect_api: str) -> Iterator[SyncPrefectClient]:
    with (
        temporary_settings({PREFECT_API_URL: prefect_api, PREFECT_LOGGING_TO_API_ENABLED: False}),
        get_client(sync_client=True) as client,
    ):
        yield client


@pytest.fixture
def journaled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A cluster of one's own with an empty journal."""
    with standin.running(tmp_path) as cluster:
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
        cluster.core.create_namespace({"metadata": {"name": "staging"}})
        given = {"environment": "staging", "namespace": "staging", "audit_role_arn": "x", "audit_buffer": tmp_path}
        given |= {f"{system}_url": "http://127.0.0.1:1/" for system in ("service", "prometheus", "alertmanager")}
        given |= dict.fromkeys(("pagerduty_token", "pagerduty_from", "slack_token"), "x")
        settings = Settings.model_validate(given)
        with using(Clients(settings)):
            yield settings


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOOK", "PUT_BACK_WITHIN", "LAST_LOGS", "CANCEL_WITHIN", "TAKEN_WITHIN"):
        monkeypatch.setattr(follow, name, 0.05)


def run_of(client: SyncPrefectClient) -> UUID:
    """A game-day that nobody has taken yet."""
    flow = client.create_flow_from_name("Game-day")
    deployment = client.create_deployment(flow_id=flow, name=f"game-day-{uuid4().hex[:6]}")
    return client.create_flow_run_from_deployment(deployment).id


def open_fault(until: datetime | None = None) -> Fault:
    """One that the journal holds, as if whoever broke it were gone."""
    name = "AUDIT_S3_BUCKET"
    fault = Fault(
        id=f"bucket-{uuid4().hex[:6]}",
        what="AUDIT_S3_BUCKET of aegis",
        read=later(kube.env, "staging", "aegis", name),
        inject=later(kube.set_env, "staging", "aegis", name, "wrong"),
        undo=later(kube.set_env, "staging", "aegis", name, "right"),
        before="right",
        injected="wrong",
        until=until,
    )
    journal.add(clients(), fault.id, fault.model_dump(mode="json"))
    return fault


def day(state: str, *verdicts: str) -> GameDay:
    drills = [
        {"exercise": "e", "variant": str(n), "run_id": "r", "started": START, "ended": START, "verdict": verdict}
        for n, verdict in enumerate(verdicts)
    ]
    return GameDay(
        name="one", run_id="r", started=START, ended=START, state=state, drills=tuple(map(Drill.model_validate, drills))
    )


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        (day("Held", "held", "held"), 0),
        (day("Not held", "held", "broke"), 1),
        (day("Cancelled", "held"), 1),
        (day("Crashed", "held"), 1),
        (day("Held"), 1),
    ],
)
def test_exit_code_is_zero_only_for_a_whole_game_day(
    ended: GameDay, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first of two drills may have held when the second was cancelled."""
    assert follow.conclude(ended, tmp_path, dry_run=False) == code
    assert (f"did not hold: it ended as {ended.state}" in capsys.readouterr().err) is bool(code)


@pytest.mark.usefixtures("quick")
def test_game_day_that_nobody_takes_is_cancelled(client: SyncPrefectClient) -> None:
    """No worker: it says so with the remedy, and does not start an hour later by surprise."""
    run = run_of(client)
    with pytest.raises(TooLate, match=r"No worker has taken the game-day .* Start one: prefect worker start"):
        follow._show(client, run, minutes=60)
    state = client.read_flow_run(run).state
    assert state
    assert state.is_cancelled()


@pytest.mark.usefixtures("quick", "journaled")
def test_game_day_whose_worker_died_is_given_up(client: SyncPrefectClient) -> None:
    """It is Running for ever; after what its drills may take that is said, with what is still broken."""
    run = run_of(client)
    client.set_flow_run_state(run, Running())
    open_fault()
    with pytest.raises(TooLate, match=r"worker has probably died\. Still broken: AUDIT_S3_BUCKET of aegis") as late:
        follow._show(client, run, minutes=0.001)
    assert str(run) in late.value.advice


@pytest.mark.usefixtures("quick")
def test_ended_game_day_is_shown_to_its_end(client: SyncPrefectClient) -> None:
    """And no longer, also when its last log line never arrives."""
    run = run_of(client)
    client.set_flow_run_state(run, Completed(), force=True)
    follow._show(client, run, minutes=60)


@pytest.mark.usefixtures("quick", "journaled")
def test_cancelling_says_what_is_still_broken(client: SyncPrefectClient, capsys: pytest.CaptureFixture[str]) -> None:
    """With the moment at which the scheduled undo puts it back, and the command to do it by hand."""
    at = datetime.now(UTC) + timedelta(minutes=20)
    open_fault(at)
    follow._cancel(client, run_of(client))
    said = capsys.readouterr().err
    assert f"Still broken: AUDIT_S3_BUCKET of aegis (put back at {at:%H:%M:%S} UTC at the latest; by hand: kub" in said


@pytest.mark.usefixtures("quick", "journaled")
def test_undo_that_is_overdue_is_said() -> None:
    """Nobody is told to wait for what did not come."""
    at = datetime.now(UTC) - timedelta(minutes=1)
    open_fault(at)
    assert f"(it was to be back at {at:%H:%M:%S} UTC; by hand: kub" in follow.still_open()


@pytest.mark.usefixtures("quick", "journaled")
def test_cancelling_says_that_everything_is_back(client: SyncPrefectClient, capsys: pytest.CaptureFixture[str]) -> None:
    """Only after having looked."""
    run = run_of(client)
    follow._cancel(client, run)
    assert "Everything is back: the journal holds no open fault." in capsys.readouterr().err
    state = client.read_flow_run(run).state
    assert state
    assert state.is_cancelled()


@pytest.mark.usefixtures("quick", "journaled")
def test_run_that_will_not_be_cancelled_is_said(client: SyncPrefectClient) -> None:
    """Its worker is dead, so nobody cancels it."""
    run = run_of(client)
    client.set_flow_run_state(run, Running())
    with pytest.raises(TooLate, match=r"was not cancelled within .* Everything is back"):
        follow._cancel(client, run)
    assert client.read_flow_run(run).state_type == Cancelling().type


@pytest.mark.usefixtures("quick")
def test_journal_that_cannot_be_read_is_said(journaled: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """No access to the cluster is no reason to claim anything, and none for a traceback."""
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    with using(Clients(journaled)):
        told = follow.still_open()
    assert told.startswith("Whether everything is back could not be seen (")
    assert "\n" not in told
