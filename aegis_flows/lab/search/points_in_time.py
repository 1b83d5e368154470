"""Points in time: what indices held when one was created, for as long as it is kept alive."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aegis_flows.lab.search.errors import SearchError
from aegis_flows.lab.search.store import View
from aegis_flows.lab.search.values import JsonObject


@dataclass(frozen=True, slots=True)
class PointInTime:
    views: list[View]
    created: int
    """Epoch milliseconds."""
    keep_alive: int
    """Milliseconds."""
    until: float
    """On the monotonic clock, in seconds."""


@dataclass(slots=True)
class PointsInTime:
    clock: Callable[[], float] = time.monotonic
    points: dict[str, PointInTime] = field(default_factory=dict)

    def create(self, views: list[View], keep_alive: int) -> JsonObject:
        """`keep_alive` is in milliseconds."""
        key = secrets.token_urlsafe(48)
        now = time.time_ns() // 1_000_000
        self.points[key] = PointInTime(views, now, keep_alive, self.clock() + keep_alive / 1000)
        return {"pit_id": key, "creation_time": now}

    def views(self, key: str, keep_alive: int | None) -> list[View]:
        """Each search may prolong it."""
        point = self.living().get(key)
        if point is None:
            raise SearchError(404, "search_context_missing_exception", f"No search context found for id [{key}]")
        if keep_alive is not None:
            until = max(point.until, self.clock() + keep_alive / 1000)
            self.points[key] = PointInTime(point.views, point.created, keep_alive, until)
        return point.views

    def delete(self, keys: list[str]) -> list[JsonObject]:
        gone = [(key, self.points.pop(key, None)) for key in keys]
        return [{"pit_id": key, "successful": point is not None} for key, point in gone]

    def living(self) -> dict[str, PointInTime]:
        """What has outlived its time is forgotten here."""
        now = self.clock()
        self.points = {key: point for key, point in self.points.items() if point.until > now}
        return self.points
