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
from prefect.client.orchestration import get_client
from prefect.states import Cancelled, Crashed, Scheduled
from pydantic import AwareDatetime

from aegis_flows import guard, journal
from aegis_flows.clients import clients
from aegis_flows.domain import Value
from aegis_flows.errors import Conflict, NotVerified, Refused
from aegis_flows.operation import Step, command, compact

UNDO = "Undo faults/undo-faults"
LEAD = timedelta(seconds=20)
"""How long before the deadline the undo begins, so that it has ended by then: a worker needs seconds to start it."""


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
    until: AwareDatetime | None = None


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
    at = datetime.now(UTC) + deadline
    planned = given.model_copy(update={"until": at})
    journal.add(clients(), given.id, planned.model_dump(mode="json") | {"undo by hand": given.undo.shell})
    switch: UUID | None = None
    try:
        switch = schedule_undo(given.id, max(at - LEAD, datetime.now(UTC)), key=f"undo:{given.id}")
        given.inject.do()
        _read_back(given, given.injected, "injected")
        yield
    finally:
        restore(given)
        if switch:
            call_off(switch)


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


def abandoned(given: Fault) -> bool:
    """Whether nobody is left who would put it back: its deadline has passed, or one of its runs has ended."""
    if given.until is None or given.until <= datetime.now(UTC):
        return True
    with get_client(sync_client=True) as client:
        states = [client.read_flow_run(run_id).state for run_id in given.runs]
    return any(state is not None and state.is_final() for state in states)


def give_up(given: Fault) -> None:
    """What should have put it back is dead or hangs: end those runs as crashed, so that the next drill can begin."""
    with get_client(sync_client=True) as client:
        for run_id in given.runs:
            state = client.read_flow_run(run_id).state
            if state and not state.is_final():
                client.set_flow_run_state(run_id, Crashed(message=f"{given.what} was put back for it."))


def open_faults() -> list[Fault]:
    """What the journal says is still broken."""
    return [Fault.model_validate(entry) for entry in journal.read(clients()).values()]


def _read_back(given: Fault, wanted: Any, verb: str) -> None:
    if (now := given.read.do()) != wanted:
        raise NotVerified(f"{given.what} was not {verb}: it reads {now!r}.", advice=f"See: {given.read.shell}")


def schedule_undo(fault_id: str, at: datetime, key: str) -> UUID:
    """The dead man's switch: a run that puts this fault back then, whatever has died by then."""
    words = ("prefect", "deployment", "run", UNDO, "--param", f"only={compact(fault_id)}", "--start-at")
    print(f"write $ {command(*words, at.isoformat(timespec='seconds'))}")
    with get_client(sync_client=True) as client:
        return client.create_flow_run_from_deployment(
            client.read_deployment_by_name(UNDO).id,
            parameters={"only": fault_id},
            state=Scheduled(scheduled_time=at),
            idempotency_key=key,
            tags=["undo", f"fault:{fault_id}"],
            name=f"undo {fault_id} at {at:%H:%M:%S}",
        ).id


def call_off(run_id: UUID) -> None:
    """The scheduled undo is not needed any more."""
    print(f"write $ {command('prefect', 'flow-run', 'cancel', str(run_id))}")
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run_id, Cancelled(message="Everything has been put back already."), force=True)
