"""Events API v2 (developer.pagerduty.com/docs/events-api-v2): what monitoring sends. Processed at once, not queued."""

import uuid

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from aegis_flows.lab.pagerduty.account import (
    Account,
    JsonObject,
    LogEntry,
    Service,
    acknowledged,
    resolved,
    triggered_again,
)

ACTIONS = ("trigger", "acknowledge", "resolve")
SEVERITIES = ("critical", "warning", "error", "info")
KEY_LENGTH = 32
MAX_DEDUP_KEY = 255


async def enqueue(request: Request, account: Account) -> Response:
    try:
        event = await request.json()
    except ValueError:
        return refusal("Unrecognized object", "Event object format is unrecognized", ["JSON parse error"])
    if not isinstance(event, dict):
        return refusal("Unrecognized object", "Event object format is unrecognized", ["JSON parse error"])
    service = next((one for one in account.services if one.routing_key == event.get("routing_key")), None)
    if faults := event_faults(event) or ([] if service else ["Invalid routing key"]):
        return refusal("invalid event", "Event object is invalid", faults)
    assert service is not None  # or it would be a fault
    keyed = {**event, "dedup_key": str(event.get("dedup_key") or uuid.uuid4().hex)}
    process(account, service, keyed)
    body = {"status": "success", "message": "Event processed", "dedup_key": keyed["dedup_key"]}
    return JSONResponse(body, status_code=202)


def process(account: Account, service: Service, event: JsonObject) -> None:
    """An acknowledgement or a resolution of what is not open is taken and has no effect."""
    incident = account.open_incident(service, event["dedup_key"])
    action = event["event_action"]
    if incident is None:
        if action == "trigger":
            account.open(service, event)
        return
    entry = LogEntry(action, service, {"type": "api"})
    if action == "trigger":
        account.keep(triggered_again(incident, entry))
    elif action == "resolve":
        account.keep(resolved(incident, entry))
    elif incident.status == "triggered":
        account.keep(acknowledged(incident, entry))


def event_faults(event: JsonObject) -> list[str]:
    """What makes an event invalid, in PagerDuty's words."""
    key, action, dedup_key = event.get("routing_key"), event.get("event_action"), event.get("dedup_key")
    faults = [] if key else ["'routing_key' is missing or blank"]
    if key and len(str(key)) != KEY_LENGTH:
        faults.append(f"Length of 'routing_key' is incorrect (should be {KEY_LENGTH} characters)")
    if key and not str(key).isalnum():
        faults.append("'routing_key' cannot contain non-alphanumeric characters.")
    if action not in ACTIONS:
        faults.append(
            f"'event_action' must be one of the following: {_quoted(ACTIONS)}" if action else _blank("event_action")
        )
    if action in ("acknowledge", "resolve") and not dedup_key:
        faults.append(_blank("dedup_key"))
    if len(str(dedup_key or "")) > MAX_DEDUP_KEY:
        faults.append(f"Length of 'dedup_key' is incorrect (should be no more than {MAX_DEDUP_KEY} characters)")
    links = event.get("links") or []
    if not isinstance(links, list) or not all(isinstance(link, dict) for link in links):
        faults.append("'links' is invalid (must be a list of objects)")
    return faults + (_payload_faults(event.get("payload")) if action == "trigger" else [])


def refusal(status: str, message: str, errors: list[str]) -> Response:
    return JSONResponse({"status": status, "message": message, "errors": errors}, status_code=400)


def _payload_faults(payload: object) -> list[str]:
    if not isinstance(payload, dict):
        return [_blank("payload")]
    faults = [_blank(f"payload.{key}") for key in ("summary", "source", "severity") if not payload.get(key)]
    if payload.get("severity") and payload["severity"] not in SEVERITIES:
        faults.append(f"'payload.severity' is invalid (must be one of the following: {_quoted(SEVERITIES)})")
    return faults


def _blank(name: str) -> str:
    return f"'{name}' is missing or blank"


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{name}'" for name in names)
