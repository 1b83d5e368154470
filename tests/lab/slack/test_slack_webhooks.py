from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from slack_sdk.webhook import WebhookClient

from aegis_flows.lab.loopback import serving
from aegis_flows.lab.slack.app import Options, app

# What Alertmanager 0.25 posted, shortened.
ALERT = {
    "channel": "#somewhere-else",
    "username": "Alertmanager",
    "attachments": [
        {
            "title": "[FIRING:1] AegisAuditWriteFailures",
            "title_link": "http://127.0.0.1:9093/#/alerts?receiver=sre",
            "text": "*Audit writes fail* on 2 pods",
            "fallback": "[FIRING:1] AegisAuditWriteFailures",
            "color": "danger",
            "mrkdwn_in": ["fallback", "pretext", "text"],
        }
    ],
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(app(Options("xoxb-lab", {"alerts": "aegis-alerts", "safety": "aegis-safety"}, ()))) as base_url:
        yield base_url


def messages(url: str, channel: str) -> list[dict[str, Any]]:
    channels: list[dict[str, Any]] = httpx.get(f"{url}/lab/messages").json()["channels"]
    return next(list(one["messages"]) for one in channels if one["name"] == channel)


def test_a_webhook_posts_in_the_channel_it_is_bound_to(url: str) -> None:
    """The middle part of the address decides; a `channel` in the body does not, as with an app's own webhook."""
    answer = httpx.post(f"{url}/services/T0/safety/token", json=ALERT)

    assert (answer.status_code, answer.text) == (200, "ok")
    message = messages(url, "aegis-safety")[-1]
    assert message["attachments"][0]["title"] == "[FIRING:1] AegisAuditWriteFailures"
    assert message["username"] == "Alertmanager"
    assert messages(url, "aegis-alerts") == []


def test_an_attachment_s_named_colour_is_kept_as_hex(url: str) -> None:
    """History shows `danger` as a30200 and numbers the attachments, as the real API does."""
    httpx.post(f"{url}/services/T0/safety/token", json=ALERT)

    attachment = messages(url, "aegis-safety")[-1]["attachments"][0]

    assert (attachment["color"], attachment["id"]) == ("a30200", 1)


def test_slack_s_own_webhook_client_is_understood(url: str) -> None:
    """slack_sdk's WebhookClient posts text and reads `ok`."""
    answer = WebhookClient(f"{url}/services/T0/safety/token").send(text="hello")

    assert (answer.status_code, answer.body) == (200, "ok")
    assert messages(url, "aegis-safety")[-1]["text"] == "hello"


@pytest.mark.parametrize(
    ("hook", "body", "status", "text"),
    [
        ("unknown", b'{"text": "x"}', 404, "no_service"),
        ("alerts", b"{not json", 400, "invalid_payload"),
        ("alerts", b'["a list"]', 400, "invalid_payload"),
        ("alerts", b'{"channel": "#aegis-alerts"}', 400, "no_text"),
        ("alerts", b'{"text": "x", "blocks": [{"type": "poem"}]}', 400, "invalid_blocks"),
        ("alerts", b'{"attachments": ["x"]}', 400, "invalid_attachments"),
    ],
)
def test_what_a_webhook_cannot_post_is_refused_in_slack_s_words(
    url: str, hook: str, body: bytes, status: int, text: str
) -> None:
    """Refusals are plain text with Slack's codes, and leave no message."""
    answer = httpx.post(f"{url}/services/T0/{hook}/token", content=body)

    assert (answer.status_code, answer.text) == (status, text)
    assert messages(url, "aegis-alerts") == []
