"""Putting back what a drill has broken, when the drill itself no longer can."""

from datetime import UTC, datetime, timedelta

from prefect import flow, runtime
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from aegis_flows import faults
from aegis_flows.errors import Conflict
from aegis_flows.faults import Fault

AGAIN = timedelta(seconds=30)
"""If an undo fails, or is itself killed, the next try comes this much later."""


@flow(name="Undo faults", log_prints=True)
def undo_faults(
    only: str | None = None,
) -> State[str]:
    """Put back what the journal holds open. Runs at each fault's deadline, and when a drill crashes or is cancelled.

    Args:
        only: Id of one fault in the journal, put back at once. Empty: all whose drill has ended or is overdue.

    """
    found = [f for f in faults.open_faults() if f.id == only or (only is None and faults.abandoned(f))]
    told = {f.id: _put_back(f) for f in found}
    failed = {name: error for name, error in told.items() if error}
    if failed:
        return Failed(message="; ".join(f"{name}: {error}" for name, error in failed.items()))
    return Completed(name="Put back" if told else "Nothing open", message=", ".join(told) or "Nothing was left behind.")


def _put_back(fault: Fault) -> str:
    """What went wrong, empty when it is back. Until then a further try is always scheduled."""
    key = f"undo:{fault.id}:{runtime.flow_run.id}"
    again = faults.schedule_undo(fault.id, datetime.now(UTC) + AGAIN, key)
    try:
        faults.restore(fault)
    except Conflict as error:  # a person's edit: trying again would not change it
        faults.call_off(again)
        return str(error)
    except Exception as error:  # noqa: BLE001  # one fault's trouble must not keep the others broken
        return f"{type(error).__name__}: {error}"
    faults.call_off(again)
    faults.give_up(fault)
    return ""
