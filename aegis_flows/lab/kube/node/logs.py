"""Pods' output on disk: one file for each start of a container, each line after the time it was read."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from aegis_flows.lab.kube.errors import bad_request
from aegis_flows.lab.kube.objects import Object, moment, name, namespace, truth, uid

_CHUNK = 65536  # bytes; a longer line is cut there
_STAMP = len("2026-01-01T00:00:00.000000Z ")


@dataclass(frozen=True)
class Wanted:
    """What part of a log is asked for."""

    tail: int | None = None
    since: datetime | None = None
    timestamps: bool = False


def wanted(query: Mapping[str, str]) -> Wanted:
    """The query parameters of `/log`; a 400 names what could not be read."""
    try:
        tail = int(query["tailLines"]) if "tailLines" in query else None
        since = moment(query["sinceTime"]) if "sinceTime" in query else None
        if "sinceSeconds" in query:
            since = datetime.now(UTC) - timedelta(seconds=int(query["sinceSeconds"]))
    except ValueError as error:
        raise bad_request(f"invalid log options: {error}") from error
    return Wanted(tail, since, truth(query.get("timestamps")))


def path(folder: Path, pod: Object, attempt: int) -> Path:
    """Where the kubelet keeps the output of the pod's nth start, counted from 0."""
    container = str(pod["spec"]["containers"][0]["name"])
    return folder / "pods" / f"{namespace(pod)}_{name(pod)}_{uid(pod)}" / container / f"{attempt}.log"


def read(file: Path, part: Wanted) -> bytes:
    """The wanted lines; nothing if the container has not started."""
    lines = file.read_bytes().splitlines(keepends=True) if file.exists() else []
    if part.since:
        first = _stamp(part.since)
        lines = [line for line in lines if line[: len(first)] >= first]
    if part.tail is not None:
        lines = lines[max(0, len(lines) - part.tail) :]
    return b"".join(lines if part.timestamps else (line[_STAMP:] for line in lines))


async def keep(output: asyncio.StreamReader, file: BinaryIO) -> None:
    """Write a process's output to its file, each line stamped, until every holder of the pipe has ended."""
    rest = b""
    while chunk := await output.read(_CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) >= _CHUNK:
            lines, rest = [*lines, rest], b""
        _write(file, lines)
    _write(file, [rest] if rest else [])


def _write(file: BinaryIO, lines: list[bytes]) -> None:
    stamp = _stamp(datetime.now(UTC))
    file.writelines(stamp + b" " + line + b"\n" for line in lines)
    file.flush()


def _stamp(at: datetime) -> bytes:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
