import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from slack_sdk import WebClient
from slack_sdk.signature import SignatureVerifier
from slack_sdk.webhook import WebhookClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aegis_flows.lab.loopback import serving
from aegis_flows.lab.slack.app import Options, app
from aegis_flows.lab.slack.workspace import Person

SECRET = "signing-secret"
TOKEN = "xoxb-lab"
SAM = Person("U0SAM", "Sam Rivera")


@dataclass
class App:
    """The app behind the buttons: it keeps what Slack sent, and answers with `status`."""

    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    status: int = 200

    async def receive(self, request: Request) -> Response:
        self.received.append((dict(request.headers), await request.body()))
        return Response(status_code=self.status)

    def payload(self) -> dict[str, Any]:
        form = parse_qs(self.received[-1][1].decode())
        return dict(json.loads(form["payload"][0]))


@pytest.fixture(scope="module")
def the_app() -> App:
    return App()


@pytest.fixture(scope="module")
def url(the_app: App) -> Iterator[str]:
    listener = Starlette(routes=[Route("/slack", the_app.receive, methods=["POST"])])
    with serving(listener) as app_url:
        options = Options(TOKEN, {}, (SAM,), ("oncall",), f"{app_url}/slack", SECRET)
        with serving(app(options)) as base_url:
            yield base_url


@pytest.fixture
def slack(url: str) -> WebClient:
    return WebClient(token=TOKEN, base_url=f"{url}/api/")


def post_plan(slack: WebClient) -> dict[str, Any]:
    approve = {
        "type": "button",
        "text": {"type": "plain_text", "text": "Approve"},
        "style": "primary",
        "action_id": "approve",
        "value": "plan-1",
    }
    blocks = [{"type": "actions", "block_id": "decision", "elements": [approve]}]
    message: dict[str, Any] = slack.chat_postMessage(channel="oncall", text="plan", blocks=blocks)["message"]
    return message


def press(url: str, ts: str, user: str = SAM.id) -> httpx.Response:
    form = {"button": json.dumps([ts, "decision", "approve"]), "as": user}
    return httpx.post(f"{url}/press", data=form)


def test_a_press_is_signed_as_slack_signs_it(url: str, slack: WebClient, the_app: App) -> None:
    """slack_sdk's verifier accepts the request with the secret, and with no other."""
    press(url, post_plan(slack)["ts"])

    headers, body = the_app.received[-1]

    assert SignatureVerifier(SECRET).is_valid_request(body, headers)
    assert not SignatureVerifier("another").is_valid_request(body, headers)


def test_the_payload_says_who_pressed_what_and_where(url: str, slack: WebClient, the_app: App) -> None:
    """`block_actions` names the person, the channel, the message with its blocks, and the action with its value."""
    message = post_plan(slack)

    answer = press(url, message["ts"])

    payload = the_app.payload()
    assert answer.status_code == 303
    assert payload["type"] == "block_actions"
    assert payload["user"]["id"] == SAM.id
    assert payload["channel"]["name"] == "oncall"
    assert payload["message"]["blocks"] == message["blocks"]
    action = payload["actions"][0]
    assert (action["action_id"], action["block_id"], action["value"]) == ("approve", "decision", "plan-1")


def test_a_response_url_speaks_five_times(url: str, slack: WebClient, the_app: App) -> None:
    """It replaces the message without a token, five times; the sixth is refused."""
    message = post_plan(slack)
    press(url, message["ts"])
    answer_to = WebhookClient(the_app.payload()["response_url"])

    answers = [answer_to.send(text=f"approved {n}", replace_original=True) for n in range(6)]

    assert [one.status_code for one in answers] == [200] * 5 + [404]
    changed = slack.conversations_history(channel=the_app.payload()["channel"]["id"], limit=1)["messages"][0]
    assert (changed["ts"], changed["text"], changed["blocks"]) == (message["ts"], "approved 4", [])


def test_a_response_without_a_place_is_for_the_person_alone(url: str, slack: WebClient, the_app: App) -> None:
    """The default response is ephemeral: on the page with the person's id, in no history."""
    message = post_plan(slack)
    press(url, message["ts"])

    WebhookClient(the_app.payload()["response_url"]).send(text="you may not approve this")

    oncall = the_app.payload()["channel"]["id"]
    newest = slack.conversations_history(channel=oncall, limit=1)["messages"][0]
    assert newest["ts"] == message["ts"]
    assert "you may not approve this" in httpx.get(url).text


def test_a_button_that_a_rewrite_took_away_cannot_be_pressed(url: str, slack: WebClient, the_app: App) -> None:
    """A press from a page that shows an older state is refused, and nothing is sent."""
    message = post_plan(slack)
    channel = str(slack.conversations_list()["channels"][0]["id"])
    slack.chat_update(channel=channel, ts=message["ts"], text="expired", blocks=[])
    sent = len(the_app.received)

    answer = press(url, message["ts"])

    assert answer.status_code == 409
    assert "no longer there" in answer.text
    assert len(the_app.received) == sent


def test_a_stranger_cannot_press(url: str, slack: WebClient, the_app: App) -> None:
    """A user id that the workspace does not know is refused, and nothing is sent."""
    sent = len(the_app.received)

    assert press(url, post_plan(slack)["ts"], "U0MALLORY").status_code == 400
    assert len(the_app.received) == sent


def test_the_person_sees_when_the_app_does_not_take_the_press(url: str, slack: WebClient, the_app: App) -> None:
    """An answer other than 2xx is shown on the page with its status code."""
    message = post_plan(slack)
    the_app.status = 503
    try:
        answer = press(url, message["ts"])
    finally:
        the_app.status = 200

    assert answer.status_code == 502
    assert "The app responded with status code 503." in answer.text
