"""A fault and its undo: written down before anything is touched, undone by whoever is still alive.

The journal holds the undo as data, and a run of the deployment `undo-faults` is already scheduled at the deadline
before the fault is injected. So a killed worker, a lost network or a power cut leaves staging restored by then.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

from prefect import runtime

from aegis_flows import guard, journal
from aegis_flows.clients import clients
from aegis_flows.domain import Value
from aegis_flows.errors import Conflict, NotVerified, Refused
from aegis_flows.operation import Step

UNDO = "Undo faults/undo-faults"


class Fault(Value):
    """What is broken, as data: how to read the managed value, how to break it, how to put it back."""

    id: str
    what: str
    runs: tuple[UUID, ...] = ()
    read: Step
    inject: Step
    undo: Step
    before: Any
    injected: Any


def fault(what: str, read: Step, write: Callable[[Any], Step], broken: Any) -> Fault:
    """A fault that sets one value to `broken`; what stands there now is the pre-image that its undo writes."""
    before = read.do()
    if before == broken:
        raise Refused(
            f"{what}: this is broken already, so breaking it would prove nothing.", advice=f"See: {read.shell}"
        )
    return Fault(
        runs=tuple(dict.fromkeys(UUID(str(i)) for i in (runtime.flow_run.id, runtime.flow_run.root_flow_run_id) if i)),
        id=f"{what.lower().replace(' ', '-')}-{uuid4().hex[:8]}",
        what=what,
        read=read,
        inject=write(broken),
        undo=write(before),
        before=before,
        injected=broken,
    )


@contextmanager
def staged(given: Fault, deadline: timedelta) -> Iterator[None]:
    """Break on entry, put back on exit. The undo is durable and scheduled before the fault is injected."""
    guard.prove_staging()
    guard.no_open_fault()
    at = datetime.now(UTC) + deadline
    entry = given.model_dump(mode="json") | {
        "undo by hand": given.undo.shell,
        "undone at the latest": at.isoformat(),
    }
    switch: UUID | None = None
    try:
        journal.add(clients(), given.id, entry)
        switch = _schedule_undo(given.id, at)
        given.inject.do()
        _read_back(given, given.injected, "injected")
        yield
    finally:
        restore(given)
        if switch:
            _call_off(switch)


def restore(given: Fault) -> Literal["put back", "was back already"]:
    """Put the pre-image back and read it back; somebody else's edit in between is reported, not overwritten."""
    now = given.read.do()
    if now not in (given.injected, given.before):
        raise Conflict(
            f"{given.what}: somebody else has set it to {now!r} since; it was left so.",
            advice=f"If it should be as before, run: {given.undo.shell}",
        )
    if now == given.injected:
        given.undo.do()
        _read_back(given, given.before, "put back")
    journal.remove(clients(), given.id)
    print(f"{given.what}: put back and read back")
    return "put back" if now == given.injected else "was back already"


def give_up(given: Fault) -> None:
    """Its deadline has passed, so what should have put it back is dead or hangs: end those runs as crashed."""
    from prefect.client.orchestration import get_client
    from prefect.states import Crashed

    with get_client(sync_client=True) as client:
        for run_id in given.runs:
            state = client.read_flow_run(run_id).state
            if state and not state.is_final():
                client.set_flow_run_state(run_id, Crashed(message=f"{given.what} was put back for it at the deadline."))


def open_faults() -> list[Fault]:
    """What the journal says is still broken."""
    return [Fault.model_validate(entry) for entry in journal.read(clients()).values()]


def _read_back(given: Fault, wanted: Any, verb: str) -> None:
    if (now := given.read.do()) != wanted:
        raise NotVerified(f"{given.what} was not {verb}: it reads {now!r}.", advice=f"See: {given.read.shell}")


def _schedule_undo(fault_id: str, at: datetime) -> UUID:
    """The dead man's switch: a run that puts this fault back at the deadline, whatever has died by then."""
    from prefect.client.orchestration import get_client
    from prefect.states import Scheduled

    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(UNDO)
        run = client.create_flow_run_from_deployment(
            deployment.id,
            parameters={"only": fault_id},
            state=Scheduled(scheduled_time=at),
            idempotency_key=f"undo:{fault_id}",
            tags=["undo", f"fault:{fault_id}"],
            name=f"at the deadline: {fault_id}",
        )
    print(f"undo of {fault_id} is scheduled for {at:%H:%M:%S} UTC")
    return run.id


def _call_off(run_id: UUID) -> None:
    from prefect.client.orchestration import get_client
    from prefect.states import Cancelled

    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run_id, Cancelled(message="The exercise has put everything back itself."), force=True)
