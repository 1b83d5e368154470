"""Runs the controllers whenever something has changed, until nothing changes any more."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from aegis_flows.lab.kube.state.store import Change, Store

log = logging.getLogger(__name__)


class Controllers:
    """Each controller looks at the whole store and brings it one step nearer to what is asked for."""

    def __init__(self, store: Store) -> None:
        self._reconcilers: Sequence[Callable[[], None]] = ()
        self._woken = False
        self._alarm: asyncio.TimerHandle | None = None
        store.listen(self._changed)

    def start(self, *reconcilers: Callable[[], None]) -> None:
        self._reconcilers = reconcilers
        self._wake()

    def wake_in(self, seconds: float) -> None:
        """Look again after some time although nothing has changed; the earliest wish counts."""
        loop = asyncio.get_running_loop()
        if self._alarm is None or self._alarm.cancelled() or self._alarm.when() < loop.time():
            self._alarm = loop.call_later(seconds, self._wake)
        elif loop.time() + seconds < self._alarm.when():
            self._alarm.cancel()
            self._alarm = loop.call_later(seconds, self._wake)

    def stop(self) -> None:
        self._reconcilers = ()
        if self._alarm:
            self._alarm.cancel()

    def _changed(self, change: Change) -> None:
        if change.plural != "events":  # nothing depends on what is only reported
            self._wake()

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        self._woken = False
        for reconcile in self._reconcilers:
            try:
                reconcile()
            except Exception:  # one controller's fault must not stop the others
                log.exception("a controller failed")
