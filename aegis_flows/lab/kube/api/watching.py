"""Lists that go on: the change stream behind `?watch=1`."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from aegis_flows.lab.kube.errors import StatusError
from aegis_flows.lab.kube.objects import Object, namespace
from aegis_flows.lab.kube.resources import Resource
from aegis_flows.lab.kube.state.selectors import Matches
from aegis_flows.lab.kube.state.store import Change, Store

_BOOKMARK_EVERY = 20.0  # seconds of silence; keeps a quiet watcher's revision from growing too old
LONGEST = 1800.0  # seconds; as with the real server the client then watches again


@dataclass(frozen=True)
class Wanted:
    """What one client watches, and how it wants each object shown."""

    resource: Resource
    namespace: str
    matches: Matches
    show: Callable[[Object], Object]
    revision: str = ""
    initial_events: bool = False
    bookmarks: bool = False
    timeout: float = LONGEST

    def includes(self, item: Object | None) -> bool:
        return item is not None and self.namespace in ("", namespace(item)) and self.matches(item)


def event(wanted: Wanted, change: Change) -> Object | None:
    """The event that a change is to this client: an object that stops fitting the selectors is DELETED for it."""
    was, is_now = wanted.includes(change.before), wanted.includes(change.after)
    if is_now and change.after:
        return {"type": "MODIFIED" if was else "ADDED", "object": wanted.show(change.after)}
    if was and change.before:
        metadata = change.before["metadata"] | {"resourceVersion": str(change.revision)}
        return {"type": "DELETED", "object": wanted.show({**change.before, "metadata": metadata})}
    return None


class Watches:
    """The open change streams of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: set[asyncio.Queue[Change | None]] = set()
        store.listen(self._publish)

    def close(self) -> None:
        """End every stream after what is already queued."""
        for queue in self._open:
            queue.put_nowait(None)

    async def stream(self, wanted: Wanted) -> AsyncIterator[bytes]:
        """Events as lines of JSON: first what the client has not seen, then each change as it happens."""
        queue: asyncio.Queue[Change | None] = asyncio.Queue()
        self._open.add(queue)
        try:
            for one in self._backlog(wanted):
                yield _line(one)
            async for one in self._live(wanted, queue):
                yield _line(one)
        except StatusError as error:
            yield _line({"type": "ERROR", "object": error.body})
        finally:
            self._open.discard(queue)

    def _publish(self, change: Change) -> None:
        for queue in self._open:
            queue.put_nowait(change)

    def _backlog(self, wanted: Wanted) -> list[Object]:
        """A list, not a generator: it is read at the moment from which the queue continues."""
        store, plural = self._store, wanted.resource.plural
        if wanted.initial_events or wanted.revision in ("", "0"):
            found = [item for item in store.all(plural, wanted.namespace) if wanted.matches(item)]
            added: list[Object] = [{"type": "ADDED", "object": wanted.show(item)} for item in found]
            return [*added, _bookmark(wanted, store.revision, initial=True)] if wanted.initial_events else added
        changes = store.changes(plural, after=int(wanted.revision))
        return [one for change in changes if (one := event(wanted, change))]

    async def _live(self, wanted: Wanted, queue: asyncio.Queue[Change | None]) -> AsyncIterator[Object]:
        loop = asyncio.get_running_loop()
        end = loop.time() + wanted.timeout
        while (left := end - loop.time()) > 0:
            try:
                change = await asyncio.wait_for(queue.get(), min(left, _BOOKMARK_EVERY))
            except TimeoutError:
                if wanted.bookmarks and loop.time() < end:
                    yield _bookmark(wanted, self._store.revision)
                continue
            if change is None:
                return
            if change.plural == wanted.resource.plural and (one := event(wanted, change)):
                yield one


def _bookmark(wanted: Wanted, revision: int, *, initial: bool = False) -> Object:
    metadata: Object = {"resourceVersion": str(revision)}
    if initial:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    kind = {"kind": wanted.resource.kind, "apiVersion": wanted.resource.api_version}
    return {"type": "BOOKMARK", "object": {**kind, "metadata": metadata}}


def _line(one: Object) -> bytes:
    return json.dumps(one, separators=(",", ":")).encode() + b"\n"
