"""Alertmanager: what it holds to be firing."""

from typing import Any

from aegis_flows.operation import Operation, operation
from tasks.kinds import probe


@probe("alerts that fire")
@operation
def firing() -> Operation[list[dict[str, Any]]]:
    """Active alerts, silenced and inhibited ones among them, each with labels, startsAt, fingerprint and status."""
    return Operation(
        shell='curl -s "$AEGIS_ALERTMANAGER_URL"api/v2/alerts?active=true',
        run=lambda c: c.alertmanager.get("api/v2/alerts", params={"active": "true"}).raise_for_status().json(),
    )


def named(alerts: list[dict[str, Any]], alertname: str) -> list[dict[str, Any]]:
    return [a for a in alerts if a["labels"].get("alertname") == alertname]


def critical(alerts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that page somebody; an alert without a severity is taken for one."""
    return [a for a in alerts if a["labels"].get("severity", "critical") == "critical"]
