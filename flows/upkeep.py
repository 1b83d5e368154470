"""Putting back what a drill has broken, when the drill itself no longer can."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from aegis_flows import faults
from aegis_flows.errors import AegisError


@flow(name="Undo faults", log_prints=True)
def undo_faults(
    only: str | None = None,
) -> State[str]:
    """Put back every fault that the journal holds open. Runs at each fault's deadline, and when an exercise crashes.

    Args:
        only: Id of one fault in the journal; empty puts all of them back.

    """
    done, failed = [], []
    for fault in faults.open_faults():
        if only and fault.id != only:
            continue
        try:
            done.append(f"{fault.id}: {faults.restore(fault)}")
            faults.give_up(fault)
        except AegisError as error:
            failed.append(f"{fault.id}: {error}")
    if failed:
        return Failed(message="; ".join(failed))
    return Completed(name="Put back" if done else "Nothing open", message="; ".join(done) or "The journal is empty.")
