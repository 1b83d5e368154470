"""Slack: say something, and see whether something was said."""

from datetime import UTC, datetime
from typing import Any

from aegis_flows.clients import Clients
from aegis_flows.errors import BadInput
from aegis_flows.operation import Operation, command, compact, operation
from tasks.kinds import action, probe

CURL = "curl -s -H 'Authorization: Bearer '\"$AEGIS_SLACK_TOKEN\" -H 'Content-Type: application/json; charset=utf-8'"


@action("tell {channel}")
@operation
def post(channel: str, text: str) -> Operation[str | None]:
    """Post a message in mrkdwn; answers its ts."""
    body = {"channel": channel, "text": text}
    return Operation(
        kind="write",
        shell=f'{CURL} "$AEGIS_SLACK_URL"chat.postMessage {command("-d", compact(body))}',
        run=lambda c: str(c.slack.chat_postMessage(channel=channel, text=text)["ts"]),
    )


@probe("messages about {containing} in {channel}")
@operation
def messages(channel: str, containing: str, since: datetime) -> Operation[list[dict[str, Any]]]:
    """What others have said since then that contains a text anywhere, oldest first, with `ts` and `channel_id`.

    Our own messages are left out: that we wrote about an alert does not prove that the alert arrived.
    """
    return Operation(
        shell=f'{CURL} "$AEGIS_SLACK_URL"conversations.history '
        + command(
            "-d", compact({"channel": f"the id of {channel}", "oldest": f"{since.timestamp():.6f}", "limit": 200})
        ),
        run=lambda c: _messages(c, channel, containing, since),
    )


def said_at(message: dict[str, Any]) -> datetime:
    """A message's ts is Slack's own clock, in microseconds."""
    return datetime.fromtimestamp(float(message["ts"]), UTC)


def _messages(c: Clients, channel: str, containing: str, since: datetime) -> list[dict[str, Any]]:
    found = c.slack_channels.get(channel.lstrip("#"))
    if found is None:
        raise BadInput(f"Slack has no channel {channel} that the bot can see.", advice="Invite it.")
    history = c.slack.conversations_history(channel=found, oldest=f"{since.timestamp():.6f}", limit=200)["messages"]
    others = (m for m in reversed(history) if m.get("bot_id") != c.slack_bot_id)
    return [m | {"channel_id": found} for m in others if containing in compact(m)]
