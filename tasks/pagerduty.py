"""PagerDuty's REST API: find, acknowledge, annotate an incident, and read who did what."""

from datetime import datetime
from http import HTTPStatus
from typing import Any

import httpx

from aegis_flows.operation import Operation, command, compact, operation
from tasks.kinds import action, probe

CURL = (
    'curl -s -H \'Authorization: Token token=\'"$AEGIS_PAGERDUTY_TOKEN" -H "From: $AEGIS_PAGERDUTY_FROM" '
    "-H 'Accept: application/vnd.pagerduty+json;version=2' -H 'Content-Type: application/json'"
)


def _line(path: str, *, verb: str = "GET", body: object = None) -> str:
    sent = f" {command('-d', compact(body))}" if body is not None else ""
    return f'{CURL} -X {verb} "$AEGIS_PAGERDUTY_URL"{command(path)}{sent}'


@probe("incident of the alert group")
@operation
def incident(dedup_key: str) -> Operation[dict[str, Any] | None]:
    """The newest incident of an alert group, None where PagerDuty has none."""
    query = {"incident_key": dedup_key, "date_range": "all", "sort_by": "created_at:desc", "limit": "1"}
    path = f"incidents?incident_key={dedup_key}&date_range=all&sort_by=created_at%3Adesc&limit=1"
    return Operation(
        shell=_line(path),
        run=lambda c: next(
            iter(c.pagerduty.get("incidents", params=query).raise_for_status().json()["incidents"]), None
        ),
    )


@probe("open incidents")
@operation
def open_incidents() -> Operation[list[dict[str, Any]]]:
    """Every incident that is triggered or acknowledged."""
    query: dict[str, list[str] | int] = {"statuses[]": ["triggered", "acknowledged"], "limit": 100}
    return Operation(
        shell=_line("incidents?statuses[]=triggered&statuses[]=acknowledged&limit=100"),
        run=lambda c: c.pagerduty.get("incidents", params=query).raise_for_status().json()["incidents"],
    )


@action("acknowledge {incident_id}")
@operation
def acknowledge(incident_id: str) -> Operation[None]:
    """Acknowledge. On a *resolved* incident PagerDuty would reopen it: look first."""
    body = {"incident": {"type": "incident_reference", "status": "acknowledged"}}
    return Operation(
        kind="write",
        shell=_line(f"incidents/{incident_id}", verb="PUT", body=body),
        run=lambda c: c.pagerduty.put(f"incidents/{incident_id}", json=body).raise_for_status().close(),
    )


@action("note on {incident_id}")
@operation
def note(incident_id: str, text: str) -> Operation[None]:
    """Write into the incident's timeline."""
    body = {"note": {"content": text}}
    return Operation(
        kind="write",
        shell=_line(f"incidents/{incident_id}/notes", verb="POST", body=body),
        run=lambda c: c.pagerduty.post(f"incidents/{incident_id}/notes", json=body).raise_for_status().close(),
    )


@probe("who acknowledged {incident_id}?")
@operation
def first_acknowledgement(incident_id: str) -> Operation[dict[str, Any] | None]:
    """The first acknowledge_log_entry: PagerDuty has no field for it."""
    return Operation(
        shell=_line(f"incidents/{incident_id}/log_entries?limit=100"),
        run=lambda c: _first(
            c.pagerduty.get(f"incidents/{incident_id}/log_entries", params={"limit": 100}).raise_for_status().json()
        ),
    )


@probe("who is {agent_id}?")
@operation
def email_of(agent_id: str) -> Operation[str]:
    """The e-mail address of a user; an empty one for what is no user."""
    return Operation(shell=_line(f"users/{agent_id}"), run=lambda c: _email(c.pagerduty.get(f"users/{agent_id}")))


def _email(answer: httpx.Response) -> str:
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return ""
    return str(answer.raise_for_status().json()["user"]["email"])


def _first(answer: dict[str, Any]) -> dict[str, Any] | None:
    acknowledged = [e for e in answer["log_entries"] if e["type"].startswith("acknowledge_log_entry")]
    return min(acknowledged, key=lambda e: datetime.fromisoformat(e["created_at"]), default=None)
