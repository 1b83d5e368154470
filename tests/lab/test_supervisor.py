"""The supervisor with parts that are real processes and do next to nothing."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aegis_flows.lab import state
from aegis_flows.lab.supervisor import Part, PartFailed, Supervisor
from tests.lab.processes import running_with, wait_until

MARK = "FAKE_LAB"
SLEEPS = "print('begun', flush=True); import time; time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPS}"
SPAWNS = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEPS!r}]); {SLEEPS}"


class FakeLab:
    """Parts below one folder, known by a variable in their environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "logs").mkdir()

    def part(self, name: str, code: str, **more: Any) -> Part:
        return Part(name, (sys.executable, "-c", code), env={MARK: str(self.folder)}, **more)

    def begun(self, name: str) -> Callable[[datetime], Awaitable[bool]]:
        """Healthy once it has written something since it was started."""

        async def ready(began: datetime) -> bool:
            log = self.folder / f"logs/{name}.log"
            return log.stat().st_size > 0 and datetime.fromtimestamp(log.stat().st_mtime, UTC) > began

        return ready

    def sleeper(self, name: str, code: str = SLEEPS, **more: Any) -> Part:
        return self.part(name, code, ready=self.begun(name), **more)

    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.folder / "lab.json").read_text())
        return told

    def pid(self, name: str) -> int:
        return int(self.told()["parts"][name]["pid"])

    def left(self) -> list[str]:
        """Command lines of what still runs of it."""
        return running_with(self.folder)

    def all_gone(self) -> None:
        """What was killed takes the kernel a moment to bury."""
        wait_until(lambda: not self.left(), 2)

    def run(self, *parts: Part, meanwhile: Callable[[], None] = lambda: None, once_up: bool = True) -> None:
        """Until it ends by itself; `meanwhile` happens beside it, once it is up or has just begun."""

        async def main() -> None:
            up = asyncio.Event()
            lab = asyncio.create_task(Supervisor(list(parts), self.folder, {}).run(lambda _: up.set()))
            asking = asyncio.create_task(up.wait() if once_up else asyncio.sleep(0.3))
            await asyncio.wait([lab, asking], return_when=asyncio.FIRST_COMPLETED)
            if not lab.done():
                await asyncio.to_thread(meanwhile)
            await lab

        asyncio.run(main())


async def never(_: datetime) -> bool:
    return False


@pytest.fixture
def lab(tmp_path: Path) -> FakeLab:
    return FakeLab(tmp_path)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_parts_start_when_what_they_need_is_healthy(lab: FakeLab) -> None:
    """Seeding waits for the database and is done once; the rest waits for it; then it is up, and Ctrl-C ends it."""
    order = lab.folder / "order"
    says = f"open({str(order)!r}, 'a').write(sys.argv[0]); {SLEEPS}"
    parts = [
        lab.sleeper("last", f"import sys; open({str(order)!r}, 'a').write('3'); {SLEEPS}", needs=("seeding",)),
        lab.part("seeding", f"open({str(order)!r}, 'a').write('2')", needs=("first",), once=True),
        lab.sleeper("first", says.replace("sys.argv[0]", "'1'")),
    ]

    def meanwhile() -> None:
        assert lab.told()["state"] == "up"
        assert all(part["healthy"] for part in lab.told()["parts"].values())
        assert lab.told()["parts"]["seeding"]["pid"] is None
        interrupt()

    lab.run(*parts, meanwhile=meanwhile)
    assert order.read_text() == "123"
    lab.all_gone()


def test_killed_part_ends_the_lab(lab: FakeLab) -> None:
    """By name, with how it ended and its last words; what it had started is gone as well, and so are the others."""
    parts = [lab.sleeper("aws", SPAWNS), lab.sleeper("other")]
    with pytest.raises(PartFailed) as failed:
        lab.run(*parts, meanwhile=lambda: os.kill(lab.pid("aws"), signal.SIGKILL))
    assert str(failed.value).startswith("The lab's aws was killed by SIGKILL. Its last lines (")
    assert "    begun" in str(failed.value)
    lab.all_gone()


def test_part_that_does_not_start_ends_the_lab(lab: FakeLab) -> None:
    """With its exit code and its own complaint; nobody waits for the parts that need it."""
    parts = [
        lab.sleeper("other"),
        lab.part("bad", "raise SystemExit('no such table')", ready=never),
        lab.sleeper("needy", needs=("bad",)),
    ]
    with pytest.raises(PartFailed, match=r"The lab's bad ended with 1 while it was starting[\s\S]*no such table"):
        lab.run(*parts)
    lab.all_gone()


def test_program_that_is_not_there_ends_the_lab(lab: FakeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no leash stands in front of it."""
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(PartFailed, match=r"The lab's bad could not be started: .*/nowhere"):
        lab.run(lab.sleeper("other"), Part("bad", ("/nowhere",)))
    lab.all_gone()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_start_leaves_nothing_running(lab: FakeLab, number: signal.Signals) -> None:
    """However it is told to end, in the midst of starting; that is no failure."""
    parts = [lab.sleeper("ready", SPAWNS), lab.part("slow", SLEEPS, ready=never), lab.sleeper("needy", needs=("slow",))]
    lab.run(*parts, meanwhile=lambda: os.kill(os.getpid(), number), once_up=False)
    lab.all_gone()


def test_part_that_will_not_stop_is_killed(lab: FakeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """All parts together have a time to stop, however deep the last one stands."""
    monkeypatch.setattr(state, "STOPS_WITHIN", 0.6)
    parts = [lab.sleeper("a", STUBBORN), lab.sleeper("b", STUBBORN, needs=("a",)), lab.sleeper("c", needs=("b",))]
    lab.run(*parts, meanwhile=interrupt)
    lab.all_gone()


def test_restarted_part_is_not_called_healthy_meanwhile(lab: FakeLab) -> None:
    """The lab is recovering until it is back; only then is it up again."""
    wait = lab.folder / "wait"
    code = f"import os, time\nwhile os.path.exists({str(wait)!r}): time.sleep(0.02)\n{SLEEPS}"
    seen = {}

    def meanwhile() -> None:
        wait.touch()
        before = lab.pid("worker")
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: lab.told()["state"] == "recovering")
        seen["healthy"] = lab.told()["parts"]["worker"]["healthy"]
        wait.unlink()
        wait_until(lambda: lab.told()["state"] == "up")
        seen["pid"] = lab.pid("worker") != before
        interrupt()

    lab.run(lab.sleeper("worker", code, restarts=True), lab.sleeper("other"), meanwhile=meanwhile)
    assert seen == {"healthy": False, "pid": True}
    lab.all_gone()


def test_restart_may_fail_for_a_while(lab: FakeLab) -> None:
    """A worker cannot start while its server is being restarted; it tries again, and the lab goes on."""
    failing = lab.folder / "failing"
    code = f"import os\nif os.path.exists({str(failing)!r}): os.remove({str(failing)!r}); raise SystemExit(1)\n{SLEEPS}"

    def meanwhile() -> None:
        failing.touch()
        os.kill(lab.pid("worker"), signal.SIGKILL)
        wait_until(lambda: lab.told()["state"] == "recovering")
        wait_until(lambda: lab.told()["state"] == "up")
        interrupt()

    lab.run(lab.sleeper("worker", code, restarts=True), meanwhile=meanwhile)
    assert not failing.exists()


def test_removed_folder_does_not_keep_parts_alive(lab: FakeLab) -> None:
    """`make clean` beside a running lab: it can say nothing of itself any more, but everything is stopped."""

    def meanwhile() -> None:
        subprocess.run(["rm", "-rf", str(lab.folder)], check=True)
        interrupt()

    lab.run(lab.sleeper("part"), meanwhile=meanwhile)
    lab.all_gone()


def test_killed_supervisor_takes_its_parts_along(lab: FakeLab) -> None:
    """`kill -9`: nobody is left to stop them but the kernel."""
    script = f"""
        import asyncio, sys
        from pathlib import Path
        from aegis_flows.lab.supervisor import Part, Supervisor
        part = Part("part", (sys.executable, "-c", {SLEEPS!r}), env={{{MARK!r}: {str(lab.folder)!r}}})
        asyncio.run(Supervisor([part], Path({str(lab.folder)!r}), {{}}).run(lambda _: print("up", flush=True)))
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE)
    assert process.stdout
    with process.stdout as said:
        assert said.readline() == b"up\n"
    assert lab.left()
    process.kill()
    process.wait()
    lab.all_gone()
