"""Aegis itself: its health, as its Service answers it."""

from typing import Any

from aegis_flows.operation import Operation, operation
from tasks.kinds import probe


@probe("health of the service")
@operation
def health() -> Operation[dict[str, Any]]:
    """What one pod says of itself; a pod that is not ready answers 503 with the same body."""
    return Operation(shell='curl -s "$AEGIS_SERVICE_URL"health', run=lambda c: c.service.get("health").json())
