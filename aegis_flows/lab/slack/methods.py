"""The Web API's methods (docs.slack.dev/reference/methods): each takes a call and gives the answer's fields."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import islice

from aegis_flows.lab.slack import content
from aegis_flows.lab.slack.content import Refused
from aegis_flows.lab.slack.workspace import (
    APP_ID,
    BOT_ID,
    BOT_USER_ID,
    TEAM_ID,
    Channel,
    JsonObject,
    Message,
    Workspace,
)

MAX_PAGE = 999
END_OF_TIME = 2**63


@dataclass(frozen=True, slots=True)
class Call:
    workspace: Workspace
    args: JsonObject
    base_url: str

    def channel(self) -> Channel:
        """By id. Only `chat.postMessage` takes a name too."""
        wanted = str(self.args.get("channel", ""))
        channel = self.workspace.channel(wanted)
        if channel is None or channel.id != wanted:
            raise Refused("channel_not_found")
        return channel

    def message(self, key: str) -> Message:
        message = self.workspace.find(self.channel(), str(self.args.get(key, "")))
        if message is None:
            raise Refused("message_not_found")
        return message


def auth_test(call: Call) -> JsonObject:
    return {
        "url": call.base_url,
        "team": "Aegis staging",
        "user": "aegis",
        "team_id": TEAM_ID,
        "user_id": BOT_USER_ID,
        "bot_id": BOT_ID,
        "is_enterprise_install": False,
    }


def post_message(call: Call) -> JsonObject:
    channel = call.workspace.channel(str(call.args.get("channel", "")))
    if channel is None:
        raise Refused("channel_not_found")
    body = {"user": BOT_USER_ID, "bot_id": BOT_ID, "app_id": APP_ID, "team": TEAM_ID, **content.whole(call.args)}
    if parent := call.args.get("thread_ts"):
        if call.workspace.find(channel, str(parent)) is None:
            raise Refused("thread_not_found")
        body["thread_ts"] = parent
    message = call.workspace.post(channel, body)
    return {"channel": channel.id, "ts": message.ts, "message": message.shown()}


def update(call: Call) -> JsonObject:
    """Blocks and attachments that the call leaves out stay; an empty list removes them."""
    message = call.message("ts")
    if message.body.get("bot_id") != BOT_ID:
        raise Refused("cant_update_message")
    changed = call.workspace.rewrite(message, content.changes(call.args))
    return {"channel": changed.channel.id, "ts": changed.ts, "text": changed.body["text"], "message": changed.shown()}


def permalink(call: Call) -> JsonObject:
    message = call.message("message_ts")
    url = f"{call.base_url}archives/{message.channel.id}/p{message.ts.replace('.', '')}"
    return {"channel": message.channel.id, "permalink": url}


def list_channels(call: Call) -> JsonObject:
    channels = [
        {
            "id": one.id,
            "name": one.name,
            "is_channel": True,
            "is_member": True,
            "is_archived": False,
            "is_private": False,
        }
        for one in call.workspace.channels
    ]
    return {"channels": channels, "response_metadata": {"next_cursor": ""}}


def history(call: Call) -> JsonObject:
    """Newest first; without `oldest` and `latest` themselves unless `inclusive` is true; 100 unless `limit` says."""
    start, end = _micros(call.args, "oldest", 0), _micros(call.args, "latest", END_OF_TIME)
    if str(call.args.get("inclusive", "")).lower() not in {"true", "1"}:
        start, end = start + 1, end - 1
    end = min(end, _cursor(call.args))
    found = (one for one in call.workspace.history(call.channel()) if start <= micros(one.ts) <= end)
    page = list(islice(found, _limit(call.args)))
    following = next(found, None)
    cursor = base64.b64encode(f"next_ts:{micros(following.ts)}".encode()).decode() if following else ""
    return {
        "messages": [one.shown() for one in page],
        "has_more": following is not None,
        "response_metadata": {"next_cursor": cursor},
    }


def replies(call: Call) -> JsonObject:
    """The parent first, then its replies, oldest first."""
    try:
        parent = call.message("ts")
    except Refused as refusal:
        raise Refused("thread_not_found" if refusal.code == "message_not_found" else refusal.code) from None
    messages = [parent, *call.workspace.replies(parent)]
    return {"messages": [one.shown() for one in messages], "has_more": False}


METHODS: dict[str, Callable[[Call], JsonObject]] = {
    "auth.test": auth_test,
    "chat.postMessage": post_message,
    "chat.update": update,
    "chat.getPermalink": permalink,
    "conversations.list": list_channels,
    "conversations.history": history,
    "conversations.replies": replies,
}


def micros(ts: str) -> int:
    return int(Decimal(ts) * 1_000_000)


def _micros(args: JsonObject, key: str, otherwise: int) -> int:
    try:
        return micros(str(args[key])) if args.get(key) else otherwise
    except (InvalidOperation, ValueError, OverflowError):
        raise Refused(f"invalid_ts_{key}") from None


def _cursor(args: JsonObject) -> int:
    if not args.get("cursor"):
        return END_OF_TIME
    try:
        return int(base64.b64decode(str(args["cursor"])).decode().removeprefix("next_ts:"))
    except (binascii.Error, ValueError):
        raise Refused("invalid_cursor") from None


def _limit(args: JsonObject) -> int:
    try:
        limit = int(args.get("limit", 100))
    except (TypeError, ValueError):
        raise Refused("invalid_limit") from None
    if not 1 <= limit <= MAX_PAGE:
        raise Refused("invalid_limit")
    return limit
