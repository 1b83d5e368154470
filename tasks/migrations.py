"""The migration of the audit buffer as a scheduled run: the way back that stands before anything is changed."""

from uuid import UUID

from aegis_flows.operation import Step, later
from aegis_flows.settings import settings
from tasks import runs

DEPLOYMENT = "Migrate audit buffer/migrate-audit-buffer"


def scheduled(incident: str | None, approved_by_run: str | UUID, attempt: int, *, net: bool = False) -> Step:
    """The call that schedules this try, once: the same try of the same approval is the same run.

    A `net` is spread beneath a try that is about to begin, and comes so late that a healthy try has ended by then.
    """
    s = settings()
    parameters = {"incident": incident, "approved_by_run": str(approved_by_run), "attempt": attempt}
    return later(
        runs.start,
        DEPLOYMENT,
        parameters=parameters,
        key=f"migrate:{approved_by_run}:{attempt}{':net' if net else ''}",
        tags=["mitigation", "migration", *([f"incident:{incident}"] if incident else [])],
        delay=s.migration_delay_seconds + (3 * s.verify_seconds if net else 0),
    )
