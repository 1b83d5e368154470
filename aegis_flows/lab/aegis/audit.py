"""The audit writer: a thread that brings every event to S3, or into the fallback buffer, exactly once.

A batch stays in memory until it is in one of the two. Its key and bytes never change, so writing it again is harmless.
"""

import logging
import threading
import time
from collections import deque
from datetime import UTC, datetime

from aegis_flows.lab.aegis import buffer, events, settings
from aegis_flows.lab.aegis.events import Batch, Event
from aegis_flows.lab.aegis.metrics import AuditMetrics
from aegis_flows.lab.aegis.store import Store, WriteError

FLUSH_SECONDS = 0.2
RETRY_SECONDS = 1.0
BREAKER_SECONDS = 2.0
CLOSE_SECONDS = 1.0  # for S3 at exit; what is left then goes to the buffer
MAX_PENDING_BYTES = 64 * 2**20

log = logging.getLogger("aegis.audit")


class AuditWriter:
    def __init__(self, wanted: settings.Audit, pod: str, store: Store, metrics: AuditMetrics) -> None:
        self._settings = wanted
        self._pod = pod
        self._store = store
        self._metrics = metrics
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._lines: list[bytes] = []
        self._sealed: deque[Batch] = deque()
        self._sequence = 0
        self._pending_bytes = 0
        self._backend_works = True
        self._not_before = 0.0  # monotonic; S3 is left alone until then
        self.pending = 0
        metrics.pending.set_function(lambda: self.pending)

    def start(self) -> None:
        self._thread.start()

    def record(self, event: Event) -> None:
        """Never blocks. What finds no room in memory is lost and counted: the oldest events are kept."""
        line = event.line()
        self._metrics.events.inc()
        with self._lock:
            if self._pending_bytes + len(line) > MAX_PENDING_BYTES:
                self._metrics.lost.inc()
                return
            self._lines.append(line)
            self._pending_bytes += len(line)
            self.pending += 1
            full = len(self._lines) >= events.MAX_EVENTS
        if full:
            self._wake.set()

    def close(self) -> None:
        """Returns when every event is in S3, in the buffer, or counted and logged as lost."""
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        else:
            self._finish()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(FLUSH_SECONDS)
            self._wake.clear()
            # while a batch waits for S3, the next ones fill up instead of growing in number
            self._seal(everything=not self._sealed)
            self._drain()
        self._finish()

    def _seal(self, *, everything: bool) -> None:
        """Makes batches of the collected lines: full ones only, or all."""
        with self._lock:
            lines, self._lines = self._lines, []
        while lines:
            count = events.fitting(lines)
            if not everything and count == len(lines) < events.MAX_EVENTS:
                break
            self._sealed.append(events.batch(lines[:count], self._pod, self._sequence, datetime.now(UTC)))
            self._sequence += 1
            lines = lines[count:]
        with self._lock:
            self._lines[:0] = lines

    def _drain(self) -> None:
        while self._sealed and not self._closing.is_set():
            placed = self._place_with_fallback if self._settings.fallback else self._place
            if not placed(self._sealed[0]):
                return
            self._settle(self._sealed.popleft())

    def _place(self, batch: Batch) -> bool:
        if time.monotonic() < self._not_before:
            return False
        code = self._write(batch)
        if code is not None:
            self._not_before = time.monotonic() + RETRY_SECONDS
            self._fail(batch, code)
        return code is None

    def _place_with_fallback(self, batch: Batch) -> bool:
        if time.monotonic() >= self._not_before:
            code = self._write(batch)
            if code is None:
                return True
            log.warning("audit: backend unusable: code=%s bucket=%s", code, self._settings.bucket)
            self._not_before = time.monotonic() + BREAKER_SECONDS
        if not self._put_into_buffer(batch):
            self._fail(batch, "BufferUnwritable")
            return False
        return True

    def _write(self, batch: Batch) -> str | None:
        """The code of the failure; None if the batch is in S3."""
        try:
            self._store.write(batch)
        except WriteError as failure:
            self._backend_works = False
            self._metrics.backend_failures.labels(failure.code).inc()
            return failure.code
        if not self._backend_works:
            log.info("audit: backend works again")
        self._backend_works = True
        self._metrics.written.inc(batch.events)
        return None

    def _put_into_buffer(self, batch: Batch) -> bool:
        try:
            buffer.write(self._settings.fallback_dir, batch)
        except OSError:
            return False
        self._metrics.buffered.inc(batch.events)
        log.warning("audit: buffered events=%d file=%s", batch.events, batch.key)
        return True

    def _fail(self, batch: Batch, code: str) -> None:
        self._metrics.write_errors.labels(code).inc(batch.events)
        log.error("audit: write failed: code=%s bucket=%s key=%s", code, self._settings.bucket, batch.key)

    def _settle(self, batch: Batch) -> None:
        with self._lock:
            self._pending_bytes -= len(batch.body)
            self.pending -= batch.events

    def _finish(self) -> None:
        """One failure or one second is enough: then everything goes to the buffer, whether fallback is on or off."""
        self._seal(everything=True)
        deadline = time.monotonic() + CLOSE_SECONDS
        usable = self._not_before <= time.monotonic()
        for batch in self._sealed:
            usable = usable and time.monotonic() < deadline and self._write(batch) is None
            if not usable and not self._put_into_buffer(batch):
                self._metrics.lost.inc(batch.events)
                log.error("audit: lost events=%d key=%s", batch.events, batch.key)
            self._settle(batch)
        self._sealed.clear()
