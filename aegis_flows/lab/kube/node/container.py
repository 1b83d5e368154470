"""One start of a container: a local process in a session of its own, its output on disk."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from aegis_flows.lab.kube.node import logs
from aegis_flows.lab.kube.node.reaper import Reaper
from aegis_flows.lab.kube.objects import now

_LAST_OUTPUT = 1.0  # seconds to read what is left in the pipe; only a process that left the session can hold it longer


class Container:
    """A running process; everything in its session ends with it, as in a real container."""

    def __init__(self, process: asyncio.subprocess.Process, output: asyncio.Task[None], reaper: Reaper) -> None:
        self._process = process
        self._output = output
        self._reaper = reaper
        self.started_at = now()

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ended(self) -> int:
        """The exit code, when the process and all that it started are gone; minus the signal that killed it."""
        code = await self._process.wait()
        self._signal(signal.SIGKILL)
        self._reaper.forget(self.pid)
        await asyncio.wait({self._output}, timeout=_LAST_OUTPUT)
        self._output.cancel()
        return code

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)


async def start(
    command: Sequence[str], environment: Mapping[str, str], folder: str | None, log: Path, reaper: Reaper
) -> Container:
    """Start the process; OSError if there is no such program or folder."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(environment),
        cwd=folder,
        start_new_session=True,
    )
    reaper.watch(process.pid)
    return Container(process, asyncio.create_task(_keep(process, log)), reaper)


async def _keep(process: asyncio.subprocess.Process, log: Path) -> None:
    assert process.stdout
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        await logs.keep(process.stdout, file)
