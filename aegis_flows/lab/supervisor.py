"""Starts the lab's parts side by side, each as soon as what it needs is healthy, and leaves nothing running.

A part that ends by itself ends the lab, with its name and its last lines; one that a cluster would restart (worker,
gateway, Prefect) is restarted. Should the supervisor itself be killed, the kernel ends its children.
"""

import asyncio
import os
import shutil
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from aegis_flows.errors import AegisError
from aegis_flows.lab import state

LOOK = 0.05
"""Seconds between two looks at a part that is starting."""
START_WITHIN = 90.0
STOP_WITHIN = 8.0
"""Seconds for one part; state.STOPS_WITHIN is for all of them."""
GONE_WITHIN = 2.0
"""Seconds in which the kernel buries what was killed."""
RESTARTS = 50
TAIL = 12

Ready = Callable[[datetime], Awaitable[bool]]
"""Whether a part is healthy, told when its process began."""


@dataclass(frozen=True)
class Part:
    """One process of the lab. `once`: it does its work and ends with 0, and that is its health."""

    name: str
    argv: tuple[str, ...]
    ready: Ready | None = None
    needs: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    once: bool = False
    restarts: bool = False
    stop: signal.Signals = signal.SIGTERM
    leash: bool = True


class PartFailed(AegisError):
    """A part did not start, or ended by itself."""


class Supervisor:
    """Runs the parts until it is told to stop, or one of them fails."""

    def __init__(self, parts: list[Part], folder: Path, facts: Mapping[str, object]) -> None:
        self._parts = parts
        self._folder = folder
        self._facts = facts
        self._state = "starting"
        self._running: dict[str, Process] = {}
        self._seconds: dict[str, float] = {}
        self._healthy = {part.name: asyncio.Event() for part in parts}
        self._stopping = asyncio.Event()

    async def run(self, on_up: Callable[[dict[str, float]], None]) -> None:
        """Until SIGINT, SIGTERM or SIGHUP. PartFailed when a part fails; either way all is stopped on return."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                loop.add_signal_handler(number, self._stopping.set)
        self._write()
        lives = [asyncio.create_task(self._live(part), name=part.name) for part in self._parts]
        up = asyncio.create_task(self._up(on_up))
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await _first_error([*lives, up], stop)
        finally:
            self._stopping.set()
            self._state = "stopping"
            with suppress(OSError):  # even if somebody has removed the folder, the parts must go
                self._write()
            for task in (up, stop, *lives):
                task.cancel()
            await asyncio.gather(up, stop, *lives, return_exceptions=True)
            await self._stop_all()

    async def _up(self, on_up: Callable[[dict[str, float]], None]) -> None:
        while not self._all_healthy():
            await asyncio.gather(*(event.wait() for event in self._healthy.values()))
        self._state = "up"
        self._write()
        on_up(self._seconds)

    async def _live(self, part: Part) -> None:
        await asyncio.gather(*(self._healthy[name].wait() for name in part.needs))
        for nth in range(RESTARTS if part.restarts else 1):
            code = await self._one_life(part)
            if part.once and code == 0:
                return
            how = f"ended with {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"
            if part.name not in self._seconds:
                raise PartFailed(self._failure(part, f"{how} while it was starting"))
            if not part.restarts:
                raise PartFailed(self._failure(part, how))
            say(f"{part.name} {how} and is started again")
            await asyncio.sleep(min(0.2 * 2**nth, 5))
        raise PartFailed(self._failure(part, f"was started {RESTARTS} times and did not stay"))

    async def _one_life(self, part: Part) -> int:
        """From its start to its end, whose exit code this is."""
        began = datetime.now(UTC)
        process = await self._start(part)
        if await self._until_ready(part, process, began):
            self._seconds.setdefault(part.name, (datetime.now(UTC) - began).total_seconds())
            self._healthy[part.name].set()
            self._write()
        code = await process.wait()
        _end_group(process)
        del self._running[part.name]
        if not part.once:
            self._healthy[part.name].clear()
            self._write()
        return code

    async def _start(self, part: Part) -> Process:
        log = self._log(part).open("ab")
        leash = ("setpriv", "--pdeathsig=KILL") if part.leash and shutil.which("setpriv") else ()
        try:
            process = await asyncio.create_subprocess_exec(
                *leash,
                *part.argv,
                env={**os.environ, **part.env},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        except OSError as error:
            raise PartFailed(f"The lab's {part.name} could not be started: {error}.") from error
        finally:
            log.close()
        self._running[part.name] = process
        return process

    async def _until_ready(self, part: Part, process: Process, began: datetime) -> bool:
        """True once it is healthy, False when it has ended before; PartFailed when it takes too long."""
        deadline = time.monotonic() + START_WITHIN
        while process.returncode is None:
            if not part.once and (part.ready is None or await part.ready(began)):
                return process.returncode is None
            if time.monotonic() > deadline:
                raise PartFailed(self._failure(part, f"was not healthy after {START_WITHIN:.0f} s"))
            await asyncio.sleep(LOOK)
        return part.once and process.returncode == 0

    async def _stop_all(self) -> None:
        """In the reverse order of their needs, so that nobody loses what he still needs to end well."""
        deadline = time.monotonic() + state.STOPS_WITHIN
        for level in reversed(_levels(self._parts)):
            within = min(STOP_WITHIN, max(deadline - time.monotonic(), 0.1))
            await asyncio.gather(*(self._stop(part, within) for part in level))

    async def _stop(self, part: Part, within: float) -> None:
        process = self._running.get(part.name)
        if process is None:
            return
        if process.returncode is None:
            process.send_signal(part.stop)
            try:
                await asyncio.wait_for(process.wait(), within)
            except TimeoutError:
                say(f"{part.name} did not stop within {within:.0f} s and is killed")
        _end_group(process)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), GONE_WITHIN)

    def _failure(self, part: Part, what: str) -> str:
        log = self._log(part)
        lines = log.read_text(errors="replace").splitlines()[-TAIL:] if log.exists() else []
        shown = "\n".join(f"    {line}" for line in lines) or "    (it has written nothing)"
        return f"The lab's {part.name} {what}. Its last lines ({log}):\n{shown}"

    def _log(self, part: Part) -> Path:
        return self._folder / "logs" / f"{part.name}.log"

    def _all_healthy(self) -> bool:
        return all(event.is_set() for event in self._healthy.values())

    def _write(self) -> None:
        parts = {
            p.name: {
                "pid": process.pid if (process := self._running.get(p.name)) else None,
                "healthy": self._healthy[p.name].is_set(),
                "seconds": round(self._seconds.get(p.name, 0), 2),
            }
            for p in self._parts
        }
        now = "recovering" if self._state == "up" and not self._all_healthy() else self._state
        state.write(self._folder, now, {"parts": parts, **self._facts})


def say(text: str) -> None:
    """To whoever started the lab; that he reads no more is no reason to end it."""
    with suppress(OSError):
        print(text, flush=True)


def _levels(parts: list[Part]) -> list[list[Part]]:
    """Parts by the depth of what they need: the first level needs nothing."""
    by_name = {part.name: part for part in parts}

    def depth(part: Part) -> int:
        return 1 + max((depth(by_name[name]) for name in part.needs), default=-1)

    deepest = max(map(depth, parts), default=0)
    return [[p for p in parts if depth(p) == level] for level in range(deepest + 1)]


async def _first_error(tasks: list[asyncio.Task[None]], stop: asyncio.Task[bool]) -> None:
    pending: set[asyncio.Task[None] | asyncio.Task[bool]] = {*tasks, stop}
    while pending and not stop.done():
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stop}:
            task.result()


def _end_group(process: Process) -> None:
    """What the part started itself (flow runs, pods) ends with it, as in a container."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
