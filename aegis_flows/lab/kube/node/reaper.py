"""A process beside the stand-in that ends the pods if the stand-in is killed before it could.

Run by its path, without the package, so that it is there in milliseconds. Its standard input is a pipe from the
stand-in: the pipe ends however the stand-in ends, `kill -9` included.
"""

import contextlib
import os
import signal
import subprocess
import sys
from typing import IO


class Reaper:
    """Knows every process group that must not outlive the stand-in; is started again if it is killed itself."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._process = _start()

    def watch(self, group: int) -> None:
        self._groups.add(group)
        self._tell(f"+{group}")

    def forget(self, group: int) -> None:
        self._groups.discard(group)
        self._tell(f"-{group}")

    def close(self) -> None:
        """End it, and with it every group that was not forgotten."""
        with contextlib.suppress(BrokenPipeError):  # what it was not told, when it was killed itself
            _input(self._process).close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        try:
            _input(self._process).write(f"{line}\n")
        except BrokenPipeError:
            self.close()
            self._process = _start()
            _input(self._process).writelines(f"+{group}\n" for group in self._groups)


def _start() -> subprocess.Popen[str]:
    # its own session: Ctrl-C in the terminal must not end it before the pods
    command = [sys.executable, "-I", "-S", __file__]
    return subprocess.Popen(command, stdin=subprocess.PIPE, text=True, bufsize=1, start_new_session=True)


def _input(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdin
    return process.stdin


def main() -> None:
    groups: set[int] = set()
    for line in sys.stdin:
        sign, group = line[0], int(line[1:])
        (groups.add if sign == "+" else groups.discard)(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
