"""What the workspace holds: channels, people and messages, in memory, on one strictly increasing clock."""

import base64
import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

JsonObject = dict[str, Any]

TEAM_ID = "T0AEGISLAB"
BOT_ID = "B0AEGISBOT"
BOT_USER_ID = "U0AEGISBOT"
APP_ID = "A0AEGISBOT"


def derived_id(prefix: str, name: str) -> str:
    """The same name has the same id after every restart, in the form of Slack's: C0 and nine letters or digits."""
    return f"{prefix}0{base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()[:9]}"


@dataclass(frozen=True, slots=True)
class Channel:
    name: str
    """Without the hash sign."""

    @property
    def id(self) -> str:
        return derived_id("C", self.name)


@dataclass(frozen=True, slots=True)
class Person:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Message:
    channel: Channel
    ts: str
    body: JsonObject
    """As the API shows it, without `ts`."""
    seen_by: str = ""
    """A user's id for an ephemeral message, which is on that person's screen alone and in no history."""

    @property
    def thread(self) -> str:
        """The parent's ts, or nothing for a message that stands in the channel itself."""
        parent = str(self.body.get("thread_ts", ""))
        return "" if parent == self.ts else parent

    def shown(self) -> JsonObject:
        return {"type": "message", "ts": self.ts, **self.body}


@dataclass(slots=True)
class Clock:
    """Message timestamps: seconds and microseconds of this machine's clock, never the same one twice."""

    last: int = 0

    def tick(self) -> str:
        self.last = max(time.time_ns() // 1000, self.last + 1)
        return f"{self.last // 1_000_000}.{self.last % 1_000_000:06d}"


@dataclass(slots=True)
class Workspace:
    channels: tuple[Channel, ...]
    people: tuple[Person, ...]
    clock: Clock = field(default_factory=Clock)
    messages: dict[str, Message] = field(default_factory=dict)
    """By ts, oldest first: the clock makes a ts unique in the whole workspace."""

    def channel(self, id_or_name: str) -> Channel | None:
        wanted = id_or_name.removeprefix("#")
        return next((channel for channel in self.channels if wanted in (channel.id, channel.name)), None)

    def person(self, user_id: str) -> Person | None:
        return next((person for person in self.people if person.id == user_id), None)

    def post(self, channel: Channel, body: JsonObject, seen_by: str = "") -> Message:
        message = Message(channel, self.clock.tick(), body, seen_by)
        self.messages[message.ts] = message
        return message

    def rewrite(self, message: Message, changes: JsonObject) -> Message:
        edited = {"user": message.body.get("user", BOT_USER_ID), "ts": self.clock.tick()}
        changed = replace(message, body={**message.body, **changes, "edited": edited})
        self.messages[message.ts] = changed
        return changed

    def delete(self, message: Message) -> None:
        del self.messages[message.ts]

    def find(self, channel: Channel, ts: str) -> Message | None:
        message = self.messages.get(ts)
        return message if message and message.channel == channel and not message.seen_by else None

    def history(self, channel: Channel) -> Iterator[Message]:
        """Newest first; replies and ephemeral messages are not part of a channel's history."""
        return (m for m in self.newest_first(channel) if not m.thread and not m.seen_by)

    def replies(self, parent: Message) -> list[Message]:
        """Oldest first, without the parent."""
        return [m for m in reversed(list(self.newest_first(parent.channel))) if m.thread == parent.ts]

    def newest_first(self, channel: Channel) -> Iterable[Message]:
        return (m for m in reversed(self.messages.values()) if m.channel == channel)
