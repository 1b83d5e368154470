import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import pytest
from starlette.datastructures import QueryParams

from aegis_flows.lab.loopback import serving
from aegis_flows.lab.pagerduty.account import Incident, LogEntry, Service, User
from aegis_flows.lab.pagerduty.app import app
from aegis_flows.lab.pagerduty.incident_query import incident_query

TOKEN = "account-token"
KEY = "a" * 32
SAM = User("Sam Rivera", "sam@aegis.example")
KIM = User("Kim Larsen", "kim@aegis.example")
SRE = Service("sre", KEY, KIM)
ACCEPT = "application/vnd.pagerduty+json;version=2"
keys = (f"incident {number}" for number in count())


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(app((SAM, KIM), (SRE, Service("safety", "b" * 32, SAM)), TOKEN)) as base_url:
        yield base_url


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Token token={TOKEN}", "Accept": ACCEPT, "From": SAM.email}
    with httpx.Client(base_url=url, headers=headers) as client:
        yield client


def open_incident(http: httpx.Client) -> str:
    """The new incident's id."""
    payload = {"summary": "It burns", "source": "test", "severity": "critical"}
    event = {"routing_key": KEY, "event_action": "trigger", "dedup_key": next(keys), "payload": payload}
    key = http.post("/v2/enqueue", json=event).json()["dedup_key"]
    return str(http.get("/incidents", params={"incident_key": key}).json()["incidents"][0]["id"])


def put(http: httpx.Client, incident_id: str, status: str, **others: str) -> httpx.Response:
    body = {"incident": {"type": "incident_reference", "status": status, **others}}
    return http.put(f"/incidents/{incident_id}", json=body)


def log(http: httpx.Client, incident_id: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = http.get(f"/incidents/{incident_id}/log_entries").json()["log_entries"]
    return entries


def test_an_acknowledgement_is_an_entry_with_its_agent_and_channel(http: httpx.Client) -> None:
    """When and by whom is in the log, newest first, with whole seconds in UTC."""
    incident_id = open_incident(http)

    answer = put(http, incident_id, "acknowledged").json()["incident"]

    newest, trigger = log(http, incident_id)
    assert answer["status"] == "acknowledged"
    assert answer["acknowledgements"][0]["acknowledger"]["id"] == SAM.id
    assert (newest["type"], newest["agent"]["type"], newest["channel"]) == (
        "acknowledge_log_entry",
        "user_reference",
        {"type": "api"},
    )
    assert (trigger["type"], trigger["agent"]["summary"]) == ("trigger_log_entry", "sre")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", newest["created_at"])


def test_an_incident_is_acknowledged_by_several_people(http: httpx.Client) -> None:
    """Each has one acknowledgement; the incident is then assigned to the last."""
    incident_id = open_incident(http)
    put(http, incident_id, "acknowledged")
    http.headers["From"] = KIM.email
    put(http, incident_id, "acknowledged")

    incident = put(http, incident_id, "acknowledged").json()["incident"]

    assert [one["acknowledger"]["summary"] for one in incident["acknowledgements"]] == [SAM.name, KIM.name]
    assert incident["assignments"][0]["assignee"]["summary"] == KIM.name


def test_a_resolved_incident_is_reopened_by_an_acknowledgement(http: httpx.Client) -> None:
    """So whoever acknowledges looks at the status first."""
    incident_id = open_incident(http)

    resolved = put(http, incident_id, "resolved").json()["incident"]
    reopened = put(http, incident_id, "acknowledged").json()["incident"]

    assert (resolved["status"], resolved["assignments"]) == ("resolved", [])
    assert resolved["resolved_at"]
    assert (reopened["status"], reopened["resolved_at"]) == ("acknowledged", None)


def test_a_resolved_incident_is_not_resolved_again(http: httpx.Client) -> None:
    """The second resolution is 400 and leaves no entry."""
    incident_id = open_incident(http)
    put(http, incident_id, "resolved")

    answer = put(http, incident_id, "resolved")

    assert (answer.status_code, answer.json()["error"]["errors"]) == (400, ["Incident Already Resolved"])
    assert [entry["type"] for entry in log(http, incident_id)] == ["resolve_log_entry", "trigger_log_entry"]


def test_notes_are_kept_newest_first_and_stand_in_the_log(http: httpx.Client) -> None:
    """A note's author is who `From` names; in the log it is an annotation."""
    incident_id = open_incident(http)
    for content in ("first", "second"):
        http.post(f"/incidents/{incident_id}/notes", json={"note": {"content": content}}).raise_for_status()

    notes = http.get(f"/incidents/{incident_id}/notes").json()["notes"]

    assert [note["content"] for note in notes] == ["second", "first"]
    assert notes[0]["user"]["summary"] == SAM.name
    newest = log(http, incident_id)[0]
    assert (newest["type"], newest["channel"]) == ("annotate_log_entry", {"type": "note", "summary": "second"})


@pytest.mark.parametrize(
    ("sender", "code", "message"),
    [
        (None, 2016, 'You must specify a user\'s email address in the "From" header to perform this action'),
        ("mallory@aegis.example", 1008, "Requester User Not Found"),
    ],
)
def test_a_write_needs_a_known_user_in_from(http: httpx.Client, sender: str | None, code: int, message: str) -> None:
    """Without one the write is 400 and nothing happens."""
    incident_id = open_incident(http)
    del http.headers["From"]
    headers = {"From": sender} if sender else {}

    body = {"incident": {"type": "incident_reference", "status": "acknowledged"}}
    answer = http.put(f"/incidents/{incident_id}", json=body, headers=headers)

    assert (answer.status_code, answer.json()) == (400, {"error": {"message": message, "code": code}})
    assert len(log(http, incident_id)) == 1


def test_a_wrong_token_is_refused(url: str) -> None:
    """401, as plain text: a client that reads JSON from it fails on the real one too."""
    answer = httpx.get(f"{url}/incidents", headers={"Authorization": "Token token=other"})

    assert (answer.status_code, answer.headers["content-type"]) == (401, "text/plain; charset=utf-8")


def test_an_unknown_incident_is_not_found(http: httpx.Client) -> None:
    """404 with code 2100, for every road that leads to it."""
    for path in ("", "/notes", "/log_entries", "/alerts"):
        answer = http.get(f"/incidents/QNOWHERE000000{path}")
        assert (answer.status_code, answer.json()) == (404, {"error": {"message": "Not Found", "code": 2100}})
    assert put(http, "QNOWHERE000000", "resolved").status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {"incident": {"type": "incident_reference", "status": "snoozed"}}),
        ("", {"incident": {"status": "acknowledged"}}),
        ("", {"incident": {"type": "incident_reference", "status": "acknowledged", "title": "x"}}),
        ("", []),
        ("/notes", {"note": {"content": " "}}),
        ("/notes", {"content": "x"}),
    ],
)
def test_a_malformed_write_changes_nothing(http: httpx.Client, path: str, body: object) -> None:
    """400 with code 2001; also for fields that this stub would otherwise ignore."""
    incident_id = open_incident(http)

    answer = http.request("POST" if path else "PUT", f"/incidents/{incident_id}{path}", json=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 2001)
    assert len(log(http, incident_id)) == 1


def test_the_list_is_filtered_and_paged(http: httpx.Client) -> None:
    """By status and service, in pages that say whether there is more; the total only where asked for."""
    for _ in range(3):
        put(http, open_incident(http), "acknowledged")
    params = {"statuses[]": "acknowledged", "service_ids[]": SRE.id, "limit": "2", "sort_by": "created_at:desc"}

    first = http.get("/incidents", params=params).json()
    whole = http.get("/incidents", params={**params, "limit": "100", "total": "true"}).json()
    second = http.get("/incidents", params={**params, "offset": "2", "limit": "100"}).json()

    assert (first["more"], first["total"], second["more"]) == (True, None, False)
    assert first["incidents"] + second["incidents"] == whole["incidents"]
    assert whole["total"] == len(whole["incidents"]) >= 3
    assert {one["status"] for one in whole["incidents"]} == {"acknowledged"}


@pytest.mark.parametrize(
    "params",
    [
        {"statuses[]": "burning"},
        {"limit": "101"},
        {"limit": "many"},
        {"sort_by": "colour"},
        {"date_range": "some"},
        {"since": "yesterday"},
        {"since": "2020-01-01", "until": "2021-01-01"},
        {"team_ids[]": "PTEAM00"},
    ],
)
def test_a_list_that_makes_no_sense_is_refused(http: httpx.Client, params: dict[str, str]) -> None:
    """400 with code 2001; a filter that this stub does not know is refused too, not ignored."""
    answer = http.get("/incidents", params=params)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 2001)


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ("", ["today"]),
        ("date_range=all", ["old", "today"]),
        ("since=2026-01-01T00:00:00Z&until=2026-01-31T00:00:00Z", ["old"]),
        ("date_range=all&sort_by=incident_number:desc", ["today", "old"]),
        ("urgencies[]=low", []),
    ],
)
def test_the_list_looks_back_one_month_unless_told(params: str, found: list[str]) -> None:
    """`since` and `until` move the window, `date_range=all` lifts it."""
    now = datetime(2026, 11, 23, tzinfo=UTC)
    events = {"old": datetime(2026, 1, 10, tzinfo=UTC), "today": now - timedelta(hours=1)}
    incidents = [
        Incident(key, number, SRE, {"dedup_key": key}, (LogEntry("trigger", SRE, {"type": "api"}, at),))
        for number, (key, at) in enumerate(events.items(), start=1)
    ]

    assert [one.id for one in incident_query(QueryParams(params), now).of(incidents)] == found


def test_people_and_services_can_be_looked_up(http: httpx.Client) -> None:
    """An agent's id leads to an email address; the person on call is the one the service was given."""
    (kim,) = http.get("/users", params={"query": "kim@"}).json()["users"]

    on_call = http.get("/oncalls").json()["oncalls"]
    services = http.get("/services").json()["services"]

    assert http.get(f"/users/{kim['id']}").json()["user"]["email"] == KIM.email
    assert [one["user"]["summary"] for one in on_call] == [KIM.name, SAM.name]
    assert [one["name"] for one in services] == ["sre", "safety"]
    assert http.get("/users/PNOBODY").status_code == 404


def test_the_account_s_token_is_nobody(http: httpx.Client) -> None:
    """`/users/me` is for a person's own token."""
    assert http.get("/users/me").status_code == 400
