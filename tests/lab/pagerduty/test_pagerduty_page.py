from collections.abc import Iterator

import httpx
import pytest

from aegis_flows.lab.loopback import serving
from aegis_flows.lab.pagerduty.account import Service, User
from aegis_flows.lab.pagerduty.app import app

SAM = User("Sam Rivera", "sam@aegis.example")
KEY = "a" * 32


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(app((SAM,), (Service("sre", KEY, SAM),), "token")) as base_url:
        yield base_url


def open_incident(url: str, **payload: object) -> str:
    """The new incident's id."""
    event = {
        "routing_key": KEY,
        "event_action": "trigger",
        "payload": {"summary": "It burns", "source": "test", "severity": "critical", **payload},
    }
    key = httpx.post(f"{url}/v2/enqueue", json=event).json()["dedup_key"]
    headers = {"Authorization": "Token token=token"}
    return str(httpx.get(f"{url}/incidents?incident_key={key}", headers=headers).json()["incidents"][0]["id"])


def press(url: str, button: str, email: str = SAM.email) -> httpx.Response:
    return httpx.post(f"{url}/press", data={"button": button, "as": email})


def test_a_person_acknowledges_and_resolves_on_the_page(url: str) -> None:
    """The buttons do what the API does, as the chosen person, over the channel `website`."""
    incident_id = open_incident(url)

    assert press(url, f"{incident_id}/acknowledged").status_code == 303
    assert press(url, f"{incident_id}/resolved").status_code == 303

    headers = {"Authorization": "Token token=token"}
    log = httpx.get(f"{url}/incidents/{incident_id}/log_entries", headers=headers).json()["log_entries"]
    assert [entry["type"] for entry in log[:2]] == ["resolve_log_entry", "acknowledge_log_entry"]
    assert {(entry["agent"]["summary"], entry["channel"]["type"]) for entry in log[:2]} == {(SAM.name, "website")}


def test_the_page_tells_the_incident_s_story(url: str) -> None:
    """Title, details and every entry of the log, with buttons as long as it is open."""
    incident_id = open_incident(url, summary="Audit writes fail", custom_details={"bucket": "aegis-audit-wrong"})
    press(url, f"{incident_id}/acknowledged")

    page = httpx.get(url).text

    for part in ("Audit writes fail", "aegis-audit-wrong", "Acknowledged by Sam Rivera", f"{incident_id}/resolved"):
        assert part in page
    press(url, f"{incident_id}/resolved")
    assert f"{incident_id}/resolved" not in httpx.get(url).text


def test_text_from_outside_stays_text(url: str) -> None:
    """Markup in an event is shown and not run."""
    open_incident(url, summary="<script>alert(1)</script>", custom_details={"<b>": ["<i>"]})

    page = httpx.get(url).text

    assert "<script>alert" not in page
    assert "<b>" not in page
    assert "<i>" not in page


@pytest.mark.parametrize(
    ("button", "email", "status"),
    [
        ("QNOWHERE000000/resolved", SAM.email, 404),
        ("{id}/resolved", "mallory@x.example", 404),
        ("{id}/eaten", SAM.email, 400),
    ],
)
def test_a_press_that_makes_no_sense_says_so(url: str, button: str, email: str, status: int) -> None:
    """An unknown incident, person or action is told on the page, and nothing happens."""
    incident_id = open_incident(url)

    answer = press(url, button.format(id=incident_id), email)

    assert answer.status_code == status
    assert 'role="alert"' in answer.text
