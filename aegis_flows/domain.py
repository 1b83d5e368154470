"""What the runbook talks about: alerts, incidents, causes, plans, outcomes. Plain values, no I/O."""

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Alert(Value):
    """One entry of an Alertmanager webhook (payload version 4); unknown fields are ignored."""

    status: Literal["firing", "resolved"] = Field("firing", description="What Alertmanager said when it sent this.")
    labels: dict[str, str] = Field(description="The alert's labels; `alertname` is required.")
    annotations: dict[str, str] = Field({}, description="Summary, description and links for people.")
    starts_at: datetime = Field(alias="startsAt", description="When the alert began to fire (RFC 3339).")
    fingerprint: str = Field("", description="Alertmanager's hash of the labels.")

    model_config = ConfigDict(frozen=True, populate_by_name=True, extra="ignore")


class Incident(Value):
    """One alert group, as PagerDuty and the playbooks know it."""

    alertname: str = Field(description="Name of the alert, e.g. AegisAuditWriteFailures.")
    dedup_key: str = Field(
        description="PagerDuty's key of the incident: sha256 of Alertmanager's groupKey. Copy it from the incident."
    )
    starts_at: datetime = Field(description="When the alert began to fire.")
    labels: dict[str, str] = Field({}, description="Labels common to the alerts of the group.")
    fingerprints: list[str] = Field([], description="Alertmanager's fingerprints of the alerts in the group.")


def dedup_key(group_key: str) -> str:
    """PagerDuty's dedup key of an Alertmanager group (Alertmanager 0.25 to 0.34, notify/util.go)."""
    return hashlib.sha256(group_key.encode()).hexdigest()


def deployment_name(alertname: str) -> str:
    """AegisModelNotLoaded → aegis-model-not-loaded, the deployment of its playbook."""
    return "".join(f"-{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(alertname))


class Cause(StrEnum):
    """Why the audit backend fails, as the playbook names it."""

    none = "the backend works"
    no_such_bucket = "no such bucket"
    access_denied = "access to the bucket denied"
    key_disabled = "KMS key disabled"
    key_missing = "KMS key missing or pending deletion"
    decrypt_denied = "KMS decrypt denied"
    encrypt_denied = "KMS data key denied"
    endpoint_down = "S3 or KMS endpoint down"
    corrupted = "what was read back differs from what was written"
    role_denied = "the audit role may not be assumed by us"
    unknown = "unknown"


class Diagnosis(Value):
    """What a canary through the audit backend found."""

    cause: Cause
    bucket: str
    key_id: str
    evidence: str = Field(description="The error's code and AWS request id, or what was read back.")

    @property
    def usable(self) -> bool:
        return self.cause is Cause.none


class Plan(Value):
    """What somebody is asked to approve: the very commands, and why."""

    title: str
    why: str
    commands: tuple[str, ...]
    undo: str = Field(description="How it is taken back, as a command or a sentence.")

    @property
    def hash(self) -> str:
        """Names this plan and no other: a decision is bound to it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


class Decision(Value):
    """An attributed yes or no to one plan."""

    approved: bool
    approver: str
    reason: str
    channel: str
    at: datetime
    plan_hash: str


Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]


class BufferCount(Value):
    """Audit events of the fallback buffer, before and after a migration. `found = moved + quarantined + left`."""

    found: int = 0
    moved: int = 0
    quarantined: int = 0
    left: int = 0
    files: int = 0

    @property
    def adds_up(self) -> bool:
        return self.found == self.moved + self.quarantined + self.left
