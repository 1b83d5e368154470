"""What the account holds: people, services and incidents, in memory. Times have whole seconds, as PagerDuty's do."""

import base64
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

JsonObject = dict[str, Any]
Status = Literal["triggered", "acknowledged", "resolved"]
Entry = Literal["trigger", "acknowledge", "resolve", "annotate"]


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def new_id(prefix: str) -> str:
    """Fourteen capital letters and digits, as PagerDuty's newer ids."""
    return prefix + base64.b32encode(secrets.token_bytes(9)).decode()[:13]


def _derived_id(name: str) -> str:
    """Seven capital letters and digits, as PagerDuty's older ids; the same after every restart."""
    return "P" + base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()[:6]


@dataclass(frozen=True, slots=True)
class User:
    name: str
    email: str

    @property
    def id(self) -> str:
        return _derived_id(self.email)


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    routing_key: str
    on_call: User

    @property
    def id(self) -> str:
        return _derived_id(f"service {self.name}")

    @property
    def escalation_policy_id(self) -> str:
        return _derived_id(f"escalation policy {self.name}")


@dataclass(frozen=True, slots=True)
class LogEntry:
    kind: Entry
    agent: User | Service
    channel: JsonObject
    at: datetime = field(default_factory=now)
    id: str = field(default_factory=lambda: new_id("R"))


@dataclass(frozen=True, slots=True)
class Note:
    user: User
    content: str
    at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Incident:
    id: str
    number: int
    service: Service
    event: JsonObject
    """The Events v2 body that opened it, with its dedup_key."""
    log: tuple[LogEntry, ...]
    """Oldest first; the first is the trigger."""
    status: Status = "triggered"
    alert_resolved: bool = False
    """An alert stays resolved when a person reopens its incident."""
    acknowledgements: tuple[LogEntry, ...] = ()
    """One for each agent, its latest; none unless acknowledged."""
    notes: tuple[Note, ...] = ()

    @property
    def dedup_key(self) -> str:
        return str(self.event["dedup_key"])

    @property
    def created_at(self) -> datetime:
        return self.log[0].at

    @property
    def last_change(self) -> LogEntry:
        """The latest entry that set the status."""
        setters = {"triggered": "trigger", "acknowledged": "acknowledge", "resolved": "resolve"}
        return next(entry for entry in reversed(self.log) if entry.kind == setters[self.status])


def triggered_again(incident: Incident, entry: LogEntry) -> Incident:
    """A deduplicated event is one more line in the log; an acknowledged incident stays acknowledged."""
    return replace(incident, log=(*incident.log, entry))


def acknowledged(incident: Incident, entry: LogEntry) -> Incident:
    """Also for an acknowledged incident, which is acknowledged anew, and for a resolved one, which it reopens."""
    others = tuple(one for one in incident.acknowledgements if one.agent != entry.agent)
    return replace(
        incident, status="acknowledged", acknowledgements=(*others, entry), log=(*incident.log, entry)
    )  # fmt: skip


def resolved(incident: Incident, entry: LogEntry) -> Incident:
    return replace(
        incident, status="resolved", acknowledgements=(), alert_resolved=True, log=(*incident.log, entry)
    )  # fmt: skip


def annotated(incident: Incident, user: User, content: str) -> Incident:
    entry = LogEntry("annotate", user, {"type": "note", "summary": content})
    note = Note(user, content, entry.at, new_id("P"))
    return replace(incident, notes=(*incident.notes, note), log=(*incident.log, entry))


CHANGES: dict[str, tuple[Entry, Callable[[Incident, LogEntry], Incident]]] = {
    "acknowledged": ("acknowledge", acknowledged),
    "resolved": ("resolve", resolved),
}


@dataclass(slots=True)
class Account:
    users: tuple[User, ...]
    services: tuple[Service, ...]
    incidents: dict[str, Incident] = field(default_factory=dict)
    """By id, in the order of their numbers."""

    def open_incident(self, service: Service, dedup_key: str) -> Incident | None:
        """The latest of them: reopening one by hand can leave two with one key."""
        for incident in reversed(self.incidents.values()):
            if (incident.service, incident.dedup_key) == (service, dedup_key) and incident.status != "resolved":
                return incident
        return None

    def open(self, service: Service, event: JsonObject) -> Incident:
        number = len(self.incidents) + 1
        return self.keep(
            Incident(new_id("Q"), number, service, event, (LogEntry("trigger", service, {"type": "api"}),))
        )

    def keep(self, incident: Incident) -> Incident:
        self.incidents[incident.id] = incident
        print(f"pagerduty: {incident.id} {incident.log[-1].kind} by {incident.log[-1].agent.name}", flush=True)
        return incident

    def user(self, email: str) -> User | None:
        return next((user for user in self.users if user.email == email.lower()), None)
