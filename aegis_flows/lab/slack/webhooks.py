"""Incoming webhooks: a secret address bound to one channel. Their answers are plain text, as Slack's are."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from aegis_flows.lab.slack import content
from aegis_flows.lab.slack.content import Refused
from aegis_flows.lab.slack.workspace import JsonObject, Message, Workspace, derived_id


@dataclass(frozen=True, slots=True)
class Webhooks:
    """`/services/{team}/{hook}/{token}`: the middle part names the hook; team and token may be anything."""

    workspace: Workspace
    channels: Mapping[str, str]
    """Hook to channel name. A `channel` in a body does not move the message, as with an app's own webhook."""

    async def receive(self, request: Request) -> Response:
        hook = request.path_params["hook"]
        try:
            message = self._post(hook, await content.posted(request))
        except Refused as refusal:
            return PlainTextResponse(refusal.code, status_code=404 if refusal.code == "no_service" else 400)
        print(f"slack: webhook {hook} posted {message.ts} in #{message.channel.name}", flush=True)
        return PlainTextResponse("ok")

    def _post(self, hook: str, body: JsonObject) -> Message:
        channel = self.workspace.channel(self.channels.get(hook, ""))
        if channel is None:
            raise Refused("no_service")
        author = {
            "subtype": "bot_message",
            "bot_id": derived_id("B", hook),
            "username": str(body.get("username") or "incoming-webhook"),
        }
        return self.workspace.post(channel, {**author, **content.whole(body)})
