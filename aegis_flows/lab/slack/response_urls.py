"""The `response_url` of a press: it speaks five times within thirty minutes, without a token."""

import secrets
import time
from dataclasses import dataclass, field, replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from aegis_flows.lab.slack import content
from aegis_flows.lab.slack.content import Refused
from aegis_flows.lab.slack.workspace import APP_ID, BOT_ID, BOT_USER_ID, TEAM_ID, JsonObject, Message, Person, Workspace

USES = 5
LIFETIME = 30 * 60.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Permit:
    ts: str
    person: Person
    until: float
    """On the monotonic clock."""
    uses: int = USES


@dataclass(frozen=True, slots=True)
class ResponseUrls:
    workspace: Workspace
    permits: dict[str, Permit] = field(default_factory=dict)

    def issue(self, message: Message, person: Person) -> str:
        """The path of a new address."""
        key = secrets.token_urlsafe(18)
        self.permits[key] = Permit(message.ts, person, time.monotonic() + LIFETIME)
        return f"/actions/{TEAM_ID}/{key}"

    async def receive(self, request: Request) -> Response:
        try:
            permit = self._spend(request.path_params["key"])
            self._respond(permit, await content.posted(request))
        except Refused as refusal:
            return JSONResponse({"ok": False, "error": refusal.code}, status_code=404 if "url" in refusal.code else 400)
        return JSONResponse({"ok": True})

    def _spend(self, key: str) -> Permit:
        permit = self.permits.get(key)
        if permit is None or permit.until < time.monotonic():
            raise Refused("expired_url")
        if permit.uses == 0:
            raise Refused("used_url")
        self.permits[key] = replace(permit, uses=permit.uses - 1)
        return permit

    def _respond(self, permit: Permit, body: JsonObject) -> None:
        """Replaces or deletes the message, or posts a new one: only for the person, unless it is for the channel."""
        message = self.workspace.messages.get(permit.ts)
        if message is None:
            raise Refused("message_not_found")
        if body.get("delete_original") is True:
            self.workspace.delete(message)
        elif body.get("replace_original") is True:
            self.workspace.rewrite(message, {"blocks": [], "attachments": [], **content.whole(body)})
        else:
            author = {"user": BOT_USER_ID, "bot_id": BOT_ID, "app_id": APP_ID, "team": TEAM_ID}
            only_for = "" if body.get("response_type") == "in_channel" else permit.person.id
            self.workspace.post(message.channel, {**author, **content.whole(body)}, only_for)
