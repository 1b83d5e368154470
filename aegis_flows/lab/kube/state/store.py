"""All objects in memory, under one counter of revisions, with the recent past for those who watch."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from aegis_flows.lab.kube.errors import expired
from aegis_flows.lab.kube.objects import Object, name, namespace

_HISTORY = 4096


@dataclass(frozen=True)
class Change:
    """One write: nothing before is a creation, nothing after a deletion."""

    plural: str
    revision: int
    before: Object | None
    after: Object | None


Listener = Callable[[Change], None]


class Store:
    """Objects by kind, namespace and name.

    A stored object is never changed in place: who edits, edits a copy and puts it back. All calls are synchronous,
    so within one event loop each is atomic.
    """

    def __init__(self) -> None:
        # Starting at the clock gives a watcher from an earlier life 410 instead of silence.
        self.revision = time.time_ns() // 1_000_000
        self._oldest = self.revision
        self._objects: dict[str, dict[tuple[str, str], Object]] = {}
        self._history: deque[Change] = deque(maxlen=_HISTORY)
        self._listeners: list[Listener] = []

    def find(self, plural: str, inside: str, called: str) -> Object | None:
        return self._objects.get(plural, {}).get((inside, called))

    def all(self, plural: str, inside: str = "") -> list[Object]:
        """The objects of one kind, by namespace and name; of every namespace unless one is named."""
        found = sorted(self._objects.get(plural, {}).items())
        return [item for (space, _), item in found if inside in ("", space)]

    def put(self, plural: str, item: Object) -> Object:
        """Keep the object under a new revision; one that is no different keeps its old revision and tells nobody."""
        kind = self._objects.setdefault(plural, {})
        before = kind.get((namespace(item), name(item)))
        if before is not None:
            item["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"]
            if item == before:
                return before
        self.revision += 1
        item["metadata"]["resourceVersion"] = str(self.revision)
        kind[namespace(item), name(item)] = item
        self._tell(Change(plural, self.revision, before, item))
        return item

    def drop(self, plural: str, item: Object) -> None:
        """Forget the object; one that is gone already is no error."""
        before = self._objects.get(plural, {}).pop((namespace(item), name(item)), None)
        if before is not None:
            self.revision += 1
            self._tell(Change(plural, self.revision, before, None))

    def changes(self, plural: str, after: int) -> list[Change]:
        """What happened to one kind after a revision; 410 when that is longer ago than the history reaches."""
        if after < self._oldest:
            raise expired(after, self._oldest)
        return [change for change in self._history if change.plural == plural and change.revision > after]

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call the listener at each change until the returned function is called."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _tell(self, change: Change) -> None:
        if len(self._history) == _HISTORY:
            self._oldest = self._history[0].revision
        self._history.append(change)
        for listener in tuple(self._listeners):
            listener(change)
