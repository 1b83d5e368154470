"""What happened, in order, as it is written into the incident."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Timeline:
    """Times are UTC. Lines carry counts, causes and ids, never an audit event's content."""

    def __init__(self) -> None:
        self._lines: list[tuple[datetime, str]] = []

    def add(self, at: datetime, what: str) -> None:
        self._lines.append((at.astimezone(UTC), what))
        print(what)

    def now(self, what: str) -> None:
        self.add(datetime.now(UTC), what)

    def tried(self, what: str, do: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """What `do` answers; a failure is noted and the work goes on, for words must not stop a cure."""
        try:
            return do(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is written down
            self.now(f"Could not {what}: {type(error).__name__}.")
            return None

    def text(self) -> str:
        return "\n".join(f"{at:%Y-%m-%d %H:%M:%S} UTC  {what}" for at, what in sorted(self._lines))
