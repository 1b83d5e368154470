"""How many replicas each replica set of a Deployment should have next: arithmetic only.

After k8s.io/kubernetes/pkg/controller/deployment/rolling.go, which is exact about never dipping below what is
promised; each call is one step, and is made again whenever a pod changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Sized:
    """A replica set: pods asked for, and those of them that are ready."""

    name: str
    asked: int
    available: int

    @property
    def unavailable(self) -> int:
        return max(0, self.asked - self.available)


@dataclass(frozen=True)
class Bounds:
    """What a rolling update may do: pods wanted, pods above that, pods missing from it."""

    desired: int
    surge: int
    missing: int


def bounds(desired: int, surge: str | int, missing: str | int) -> Bounds:
    """Numbers from numbers or percentages: surge rounds up, missing down, and not both may be 0."""
    more, fewer = _share(surge, desired, up=True), _share(missing, desired, up=False)
    return Bounds(desired, more, fewer if more or fewer else 1)


def _share(value: str | int, whole: int, *, up: bool) -> int:
    text = str(value)
    if not text.endswith("%"):
        return int(text)
    share, rest = divmod(int(text[:-1]) * whole, 100)
    return share + (1 if up and rest else 0)


def rolling(limit: Bounds, new: Sized, old: Sequence[Sized]) -> Mapping[str, int]:
    """The next step of a rolling update: first room for new pods is used, then old ones go as new ones are ready."""
    room = max(0, limit.desired + limit.surge - new.asked - sum(one.asked for one in old))
    grown = min(limit.desired, new.asked + room)
    return {new.name: grown, **_shrunk(limit, Sized(new.name, grown, min(grown, new.available)), old)}


def _shrunk(limit: Bounds, new: Sized, old: Sequence[Sized]) -> dict[str, int]:
    least = limit.desired - limit.missing
    spare = max(0, new.asked + sum(one.asked for one in old) - least - new.unavailable)
    sizes: dict[str, int] = {}
    for one in old:  # broken pods first: they serve nobody
        gone = min(spare, one.unavailable)
        spare -= gone
        sizes[one.name] = one.asked - gone
    free = min(spare, max(0, new.available + sum(one.available for one in old) - least))
    for one in old:
        gone = min(free, sizes[one.name])
        free -= gone
        sizes[one.name] -= gone
    return sizes


def recreate(desired: int, new: Sized, old: Sequence[Sized], *, old_pods: bool) -> Mapping[str, int]:
    """Nothing of the new before every pod of the old has ended."""
    waiting = old_pods or any(one.asked for one in old)
    return {new.name: new.asked if waiting else desired, **{one.name: 0 for one in old}}


def resized(desired: int, new: Sized | None, old: Sequence[Sized]) -> Mapping[str, int]:
    """A paused Deployment is scaled without being rolled: its newest replica set that has pods takes the change."""
    active = [one for one in (new, *old) if one is not None and one.asked]
    target = active[0] if active else new
    if target is None:
        return {}
    others = sum(one.asked for one in active if one is not target)
    return {target.name: max(0, desired - others)}
