"""Audit events as bytes, and batches of them under a key that follows from their content."""

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

MAX_EVENTS = 500
MAX_BYTES = 2**20


@dataclass(frozen=True)
class Event:
    """One answered prompt. Private: the prompt goes to S3 or to the buffer and nowhere else."""

    id: str
    at: str
    pod: str
    reason: str | None
    flagged: bool
    pii: bool
    prompt_sha256: str
    prompt: str

    def public(self) -> dict[str, object]:
        return {name: value for name, value in asdict(self).items() if name != "prompt"}

    def line(self) -> bytes:
        return json.dumps(asdict(self), separators=(",", ":")).encode() + b"\n"


@dataclass(frozen=True)
class Batch:
    """Immutable: the same key always means the same bytes, so it may be written any number of times."""

    key: str
    body: bytes
    events: int


def event(prompt: str, reason: str | None, *, pii: bool, pod: str, at: datetime) -> Event:
    return Event(
        id=str(uuid.uuid4()),
        at=at.isoformat(),
        pod=pod,
        reason=reason,
        flagged=reason is not None,
        pii=pii,
        prompt_sha256=hashlib.sha256(prompt.encode()).hexdigest(),
        prompt=prompt,
    )


def batch(lines: Sequence[bytes], pod: str, sequence: int, at: datetime) -> Batch:
    body = b"".join(lines)
    digest = hashlib.sha256(body).hexdigest()
    return Batch(f"audit/{at:%Y-%m-%d}/{at:%H}/{pod}-{sequence:08d}-{len(lines)}-{digest}.jsonl", body, len(lines))


def fitting(lines: Sequence[bytes]) -> int:
    """How many of the first lines make one batch; at least one line does."""
    size = 0
    for count, line in enumerate(lines[:MAX_EVENTS]):
        size += len(line)
        if size > MAX_BYTES:
            return max(count, 1)
    return min(len(lines), MAX_EVENTS)
