"""A process beside the stand-in that ends the pods if the stand-in is killed before it could.

Run by its path, without the package, so that it is there in milliseconds. Its standard input is a pipe from the
stand-in: the pipe ends however the stand-in ends, `kill -9` included.
"""

import contextlib
import os
import signal
import subprocess
import sys


class Reaper:
    """Knows every process group that must not outlive the stand-in."""

    def __init__(self) -> None:
        # its own session: Ctrl-C in the terminal must not end it before the pods
        command = [sys.executable, "-I", "-S", __file__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, bufsize=1, start_new_session=True)

    def watch(self, group: int) -> None:
        self._tell(f"+{group}")

    def forget(self, group: int) -> None:
        self._tell(f"-{group}")

    def close(self) -> None:
        """End it, and with it every group that was not forgotten."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        if self._process.stdin:
            self._process.stdin.write(f"{line}\n")


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
