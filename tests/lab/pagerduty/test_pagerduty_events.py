from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from aegis_flows.lab.loopback import serving
from aegis_flows.lab.pagerduty.account import Service, User
from aegis_flows.lab.pagerduty.app import app

TOKEN = "account-token"
SAM = User("Sam Rivera", "sam@aegis.example")
SRE_KEY, SAFETY_KEY = "a" * 32, "b" * 32
PAYLOAD = {
    "summary": "Audit writes fail",
    "source": "Alertmanager",
    "severity": "critical",
    "custom_details": {"num_firing": "1"},
}


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    services = (Service("sre", SRE_KEY, SAM), Service("safety", SAFETY_KEY, SAM))
    with serving(app((SAM,), services, TOKEN)) as url:
        headers = {"Authorization": f"Token token={TOKEN}", "Accept": "application/vnd.pagerduty+json;version=2"}
        with httpx.Client(base_url=url, headers=headers) as client:
            yield client


def send(http: httpx.Client, action: str, dedup_key: str, **others: object) -> httpx.Response:
    event = {"routing_key": SRE_KEY, "event_action": action, "dedup_key": dedup_key, "payload": PAYLOAD, **others}
    return http.post("/v2/enqueue", json=event)


def incidents(http: httpx.Client, dedup_key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.get("/incidents", params={"incident_key": dedup_key}).json()["incidents"]
    return found


def log_types(http: httpx.Client, incident: dict[str, Any]) -> list[str]:
    entries = http.get(f"/incidents/{incident['id']}/log_entries").json()["log_entries"]
    return [entry["type"] for entry in entries]


def test_a_trigger_opens_an_incident_on_the_service_of_its_key(http: httpx.Client) -> None:
    """The answer is 202 with the dedup key; the incident carries it, with the event's words and details."""
    answer = send(http, "trigger", "opens", routing_key=SAFETY_KEY)

    assert answer.status_code == 202
    assert answer.json() == {"status": "success", "message": "Event processed", "dedup_key": "opens"}
    (incident,) = incidents(http, "opens")
    assert (incident["status"], incident["title"]) == ("triggered", "Audit writes fail")
    assert incident["service"]["summary"] == "safety"
    assert incident["assignments"][0]["assignee"]["summary"] == SAM.name
    (alert,) = http.get(f"/incidents/{incident['id']}/alerts").json()["alerts"]
    assert alert["body"]["details"] == {"num_firing": "1"}
    assert (alert["alert_key"], alert["severity"], alert["status"]) == ("opens", "critical", "triggered")


def test_a_repeated_trigger_goes_into_the_open_incident(http: httpx.Client) -> None:
    """The same key on the same service opens nothing new; on another service it does."""
    for _ in range(3):
        send(http, "trigger", "repeats")
    send(http, "trigger", "repeats", routing_key=SAFETY_KEY)

    sre, safety = incidents(http, "repeats")

    assert (sre["service"]["summary"], safety["service"]["summary"]) == ("sre", "safety")
    assert log_types(http, sre) == ["trigger_log_entry"] * 3


def test_a_trigger_after_a_resolution_opens_a_new_incident(http: httpx.Client) -> None:
    """What was resolved stays resolved; the alert that comes back is another incident."""
    for action in ("trigger", "resolve", "trigger"):
        send(http, action, "comes back")

    first, second = incidents(http, "comes back")

    assert (first["status"], second["status"]) == ("resolved", "triggered")
    assert first["id"] != second["id"]


def test_an_event_can_acknowledge_and_resolve(http: httpx.Client) -> None:
    """The service itself is then the agent, through the API; a second acknowledgement by event changes nothing."""
    for action in ("trigger", "acknowledge", "acknowledge", "resolve"):
        assert send(http, action, "by event").status_code == 202

    (incident,) = incidents(http, "by event")

    assert log_types(http, incident) == ["resolve_log_entry", "acknowledge_log_entry", "trigger_log_entry"]
    assert incident["last_status_change_by"]["type"] == "service_reference"
    assert incident["resolved_at"]


@pytest.mark.parametrize("action", ["resolve", "acknowledge"])
def test_what_is_not_open_can_be_resolved_without_effect(http: httpx.Client, action: str) -> None:
    """Events are taken before they are understood: 202, and no incident."""
    assert send(http, action, "never seen").status_code == 202
    assert incidents(http, "never seen") == []


def test_a_trigger_without_a_key_is_given_one(http: httpx.Client) -> None:
    """The answer tells the key that was made up, and the incident can be found by it."""
    answer = http.post("/v2/enqueue", json={"routing_key": SRE_KEY, "event_action": "trigger", "payload": PAYLOAD})

    assert len(incidents(http, answer.json()["dedup_key"])) == 1


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"routing_key": "c" * 32}, "Invalid routing key"),
        ({"routing_key": "short"}, "Length of 'routing_key' is incorrect (should be 32 characters)"),
        ({"routing_key": None}, "'routing_key' is missing or blank"),
        ({"event_action": None}, "'event_action' is missing or blank"),
        (
            {"event_action": "explode"},
            "'event_action' must be one of the following: 'trigger', 'acknowledge', 'resolve'",
        ),
        ({"event_action": "resolve", "dedup_key": None}, "'dedup_key' is missing or blank"),
        ({"dedup_key": "k" * 256}, "Length of 'dedup_key' is incorrect (should be no more than 255 characters)"),
        ({"payload": None}, "'payload' is missing or blank"),
        ({"payload": {**PAYLOAD, "summary": ""}}, "'payload.summary' is missing or blank"),
        (
            {"payload": {**PAYLOAD, "severity": "awful"}},
            "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error', 'info')",
        ),
    ],
)
def test_an_invalid_event_is_refused_with_its_errors(
    http: httpx.Client, changes: dict[str, object], error: str
) -> None:
    """The answer is 400 and lists what is wrong; Alertmanager drops such a notification."""
    event = {"routing_key": SRE_KEY, "event_action": "trigger", "dedup_key": "invalid", "payload": PAYLOAD}

    answer = http.post("/v2/enqueue", json={**event, **changes})

    assert answer.status_code == 400
    assert answer.json() == {"status": "invalid event", "message": "Event object is invalid", "errors": [error]}
    assert incidents(http, "invalid") == []


@pytest.mark.parametrize("body", [b"{", b"[]"])
def test_what_is_no_event_is_refused(http: httpx.Client, body: bytes) -> None:
    """A body that is not a JSON object is 400 with PagerDuty's words for it."""
    answer = http.post("/v2/enqueue", content=body)

    assert (answer.status_code, answer.json()["errors"]) == (400, ["JSON parse error"])


def test_events_fail_on_demand(http: httpx.Client) -> None:
    """A drill's 500 leaves no incident; the next event is taken again."""
    http.post("/lab/fail", json={"status": 500, "path": "/v2/enqueue"}).raise_for_status()

    assert send(http, "trigger", "after the drill").status_code == 500
    assert incidents(http, "after the drill") == []
    assert send(http, "trigger", "after the drill").status_code == 202
