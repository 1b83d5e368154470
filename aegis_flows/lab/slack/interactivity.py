"""What Slack sends when a person presses a button, and what it shows when the app does not answer well."""

import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx

from aegis_flows.lab.slack import content
from aegis_flows.lab.slack.response_urls import ResponseUrls
from aegis_flows.lab.slack.workspace import APP_ID, TEAM_ID, JsonObject, Message, Person, Workspace

ACKNOWLEDGE_WITHIN = 3.0
"""Seconds that Slack gives an app to acknowledge (docs.slack.dev/interactivity/handling-user-interaction)."""


class NotPressed(Exception):
    """The sentence is shown to the person who pressed; `status` is the page's."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True)
class Button:
    """Where a button stands. The ids and not its place: a message rewritten meanwhile may have another button there."""

    ts: str
    block_id: str
    action_id: str


@dataclass(frozen=True, slots=True)
class Interactivity:
    workspace: Workspace
    response_urls: ResponseUrls
    url: str
    """Where the app listens; empty where it does not, and then no button can be pressed."""
    signing_secret: str

    async def press(self, button: Button, user_id: str, base_url: str) -> None:
        """The app's 2xx within three seconds; anything else raises NotPressed."""
        person, message = self.workspace.person(user_id), self.workspace.messages.get(button.ts)
        if person is None:
            raise NotPressed(f"Nobody here has the user id {user_id!r}.", 400)
        if message is None or (action := pressed(message, button)) is None:
            raise NotPressed("That button is no longer there: the message has changed.", 409)
        answer_to = base_url.rstrip("/") + self.response_urls.issue(message, person)
        await self._send(payload(message, action, person, answer_to))
        print(f"slack: {person.id} pressed {button.action_id} on {message.ts}", flush=True)

    async def _send(self, body: JsonObject) -> None:
        raw = urlencode({"payload": json.dumps(body)})
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            **signature(self.signing_secret, raw, time.time()),
        }
        try:
            async with httpx.AsyncClient(timeout=ACKNOWLEDGE_WITHIN, trust_env=False) as client:
                answer = await client.post(self.url, content=raw, headers=headers)
        except httpx.HTTPError as error:
            raise NotPressed(f"The app could not be reached ({type(error).__name__}).", 502) from error
        if not answer.is_success:
            raise NotPressed(f"The app responded with status code {answer.status_code}.", 502)


def signature(secret: str, raw: str, now: float) -> dict[str, str]:
    """HMAC-SHA256 over `v0:{timestamp}:{raw body}`; the timestamp is in whole seconds."""
    stamp = str(int(now))
    digest = hmac.new(secret.encode(), f"v0:{stamp}:{raw}".encode(), hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}


def pressed(message: Message, button: Button) -> JsonObject | None:
    """The action as the payload shows it, or nothing if the message has no such button now."""
    for block, element in content.buttons(message.body):
        if (block["block_id"], element["action_id"]) == (button.block_id, button.action_id):
            return {**element, "block_id": button.block_id, "action_ts": f"{time.time():.6f}"}
    return None


def payload(message: Message, action: JsonObject, person: Person, response_url: str) -> JsonObject:
    """`block_actions` as in docs.slack.dev/reference/interaction-payloads/block_actions-payload."""
    handle = person.name.lower().replace(" ", ".")
    ephemeral = bool(message.seen_by)
    return {
        "type": "block_actions",
        "user": {"id": person.id, "username": handle, "name": handle, "team_id": TEAM_ID},
        "api_app_id": APP_ID,
        "token": "",
        "container": {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": message.channel.id,
            "is_ephemeral": ephemeral,
        },
        "trigger_id": f"{message.ts}.{action['action_ts']}",
        "team": {"id": TEAM_ID, "domain": "aegis-staging"},
        "enterprise": None,
        "is_enterprise_install": False,
        "channel": {"id": message.channel.id, "name": message.channel.name},
        **({} if ephemeral else {"message": message.shown()}),
        "state": {"values": {}},
        "response_url": response_url,
        "actions": [action],
    }
