import json
import logging
import queue
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from prometheus_client import Counter

from aegis_flows.lab.aegis.events import Event

INDEX = "aegis-audit-events"
MAX_WAITING = 10_000
MAX_POSTED = 200
TIMEOUT_SECONDS = 2

log = logging.getLogger("aegis.index")


class SearchIndex:
    """Posts flagged events without their prompts to OpenSearch, best effort; what fails is counted, not repeated."""

    def __init__(self, url: str, failures: Counter) -> None:
        self._url = url
        self._failures = failures
        self._waiting: queue.Queue[Event] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="index", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def add(self, event: Event) -> None:
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            self._failures.inc()

    def _run(self) -> None:
        while True:
            found = [self._waiting.get()]
            while len(found) < MAX_POSTED and not self._waiting.empty():
                found.append(self._waiting.get())
            self._post(found)

    def _post(self, found: Sequence[Event]) -> None:
        request = urllib.request.Request(  # noqa: S310  (the deployment's own OPENSEARCH_URL)
            f"{self._url}/_bulk", data=bulk(found), headers={"Content-Type": "application/x-ndjson"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310  (see above)
                refused = [
                    item
                    for item in json.load(response)["items"]
                    if item["index"]["status"] >= HTTPStatus.MULTIPLE_CHOICES
                ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("index: not posted: events=%d error=%s", len(found), type(error).__name__)
            self._failures.inc(len(found))
        else:
            self._failures.inc(len(refused))


def bulk(found: Sequence[Event]) -> bytes:
    """The body of `_bulk`: an event's id is its document's id, so posting twice indexes once."""
    lines: list[Mapping[str, object]] = []
    for event in found:
        lines.append({"index": {"_index": INDEX, "_id": event.id}})
        lines.append(event.public())
    return "".join(json.dumps(line) + "\n" for line in lines).encode()
