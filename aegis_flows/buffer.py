"""The audit fallback buffer: immutable batches on disk, moved to S3 exactly once.

A batch lies at `<buffer>/<object key>`, with `<events>-<sha256>` of its bytes at the end of its name. The same bytes
under the same key are the same object, so a batch may be put twice (a timed-out write that arrived, a killed
migration that is rerun) and is still there once. A file is removed only after its object was read back and compared.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aegis_flows.domain import BufferCount

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

CHUNK = 1000
"""Batches looked at together: what bounds memory, whatever the size of the buffer."""
QUARANTINE = "quarantine"
LOCK = ".migrating"

Fate = Literal["moved", "quarantined", "left"]


@dataclass(frozen=True)
class Batch:
    """One file of the buffer; its name says what must be in it."""

    path: Path
    key: str
    events: int
    sha256: str


@dataclass(frozen=True)
class Target:
    """Where batches go, as the service's own configuration says."""

    bucket: str
    key_id: str


def batches(folder: Path) -> Iterator[Batch]:
    """Every batch in the buffer, in no order, without holding them all. What is being written (`.tmp`) is passed by."""
    for path in _files(folder / "audit"):
        if path.suffix == ".jsonl" and (batch := _named(folder, path)):
            yield batch


def count(folder: Path) -> BufferCount:
    """What lies in the buffer now, by the names alone; all of it is `left`."""
    files = events = 0
    for batch in batches(folder):
        files, events = files + 1, events + batch.events
    return BufferCount(found=events, left=events, files=files)


def move(folder: Path, s3: "S3Client", target: Target, workers: int = 16) -> BufferCount:
    """Move every batch once over; stops at the first chunk in which S3 refused one and leaves the rest.

    `found` is counted from the names, `moved` from what was read back: that they add up is a check, not a definition.
    """
    total = BufferCount()
    walk = batches(folder)
    with _alone(folder), ThreadPoolExecutor(workers, thread_name_prefix="migrate") as pool:
        while chunk := list(islice(walk, CHUNK)):
            outcomes = list(pool.map(lambda b: _move_one(folder, s3, target, b), chunk))
            total = _add(total, chunk, outcomes)
            if total.left:
                break
    return total


def _files(folder: Path) -> Iterator[Path]:
    """A folder's names are read as they are asked for, never all at once."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            else:
                yield Path(entry.path)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One migration at a time; the kernel gives the lock back when its holder dies, however it dies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _named(folder: Path, path: Path) -> Batch | None:
    parts = path.stem.rsplit("-", 2)
    if len(parts) != 3 or not parts[1].isdigit():  # noqa: PLR2004  # <pod>-<seq>, events, sha256
        return None
    return Batch(path, path.relative_to(folder).as_posix(), int(parts[1]), parts[2])


def _move_one(folder: Path, s3: "S3Client", target: Target, batch: Batch) -> tuple[Fate, int]:
    try:
        body = batch.path.read_bytes()
    except FileNotFoundError:  # another migration, run at the same time by hand, has moved it
        return "moved", batch.events
    if hashlib.sha256(body).hexdigest() != batch.sha256:
        _set_aside(folder, batch)
        return "quarantined", batch.events
    try:
        back = _put_and_read_back(s3, target, batch.key, body)
    except _s3_errors() as error:
        print(f"left {batch.path.name}: {error}")
        return "left", batch.events
    if back != body:
        print(f"left {batch.path.name}: what was read back differs from what was written")
        return "left", batch.events
    batch.path.unlink(missing_ok=True)
    return "moved", back.count(b"\n")


def _put_and_read_back(s3: "S3Client", target: Target, key: str, body: bytes) -> bytes:
    s3.put_object(
        Bucket=target.bucket,
        Key=key,
        Body=body,
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=target.key_id,
        ChecksumAlgorithm="SHA256",
    )
    return s3.get_object(Bucket=target.bucket, Key=key)["Body"].read()


def _set_aside(folder: Path, batch: Batch) -> None:
    """Damaged bytes are evidence: kept, never sent."""
    aside = folder / QUARANTINE / batch.key
    aside.parent.mkdir(parents=True, exist_ok=True)
    batch.path.replace(aside)


def _s3_errors() -> tuple[type[Exception], ...]:
    from botocore.exceptions import BotoCoreError, ClientError

    return (BotoCoreError, ClientError)


def _add(total: BufferCount, chunk: list[Batch], outcomes: list[tuple[Fate, int]]) -> BufferCount:
    by_fate = {fate: sum(n for f, n in outcomes if f == fate) for fate in ("moved", "quarantined", "left")}
    return BufferCount(
        found=total.found + sum(b.events for b in chunk),
        moved=total.moved + by_fate["moved"],
        quarantined=total.quarantined + by_fate["quarantined"],
        left=total.left + by_fate["left"],
        files=total.files + len(chunk),
    )
