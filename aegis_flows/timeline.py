"""What happened, in order, as it is written into the incident."""

from datetime import UTC, datetime


class Timeline:
    """Times are UTC. Lines carry counts, causes and ids, never an audit event's content."""

    def __init__(self) -> None:
        self._lines: list[tuple[datetime, str]] = []

    def add(self, at: datetime, what: str) -> None:
        self._lines.append((at.astimezone(UTC), what))
        print(what)

    def now(self, what: str) -> None:
        self.add(datetime.now(UTC), what)

    def text(self) -> str:
        return "\n".join(f"{at:%Y-%m-%d %H:%M:%S} UTC  {what}" for at, what in sorted(self._lines))
