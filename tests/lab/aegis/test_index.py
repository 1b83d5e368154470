import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, Counter

from aegis_flows.lab.aegis import events
from aegis_flows.lab.aegis.index import SearchIndex
from tests.lab.processes import free_port, wait_until

EVENT = events.event("the secret prompt", "pii", pii=True, pod="aegis-1", at=datetime(2026, 11, 23, tzinfo=UTC))


@contextmanager
def opensearch(status: int) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Answers `_bulk` with this status per document, and keeps what came: path and body."""
    came: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            body = json.dumps({"errors": status != 201, "items": [{"index": {"status": status}}]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{server.server_port}", came
        server.shutdown()


def index(url: str) -> tuple[SearchIndex, Counter]:
    failures = Counter("failures", "", registry=CollectorRegistry())
    started = SearchIndex(url, failures)
    started.start()
    return started, failures


def count(failures: Counter) -> float:
    return next(iter(failures.collect())).samples[0].value


def test_posts_without_the_prompt() -> None:
    """A flagged event reaches `_bulk` under its own id, without its prompt."""
    with opensearch(201) as (url, came):
        started, failures = index(url)
        started.add(EVENT)
        wait_until(lambda: len(came) == 1)
    path, body = came[0]
    action, document = map(json.loads, body.splitlines())
    assert path == "/_bulk"
    assert action == {"index": {"_index": "aegis-audit-events", "_id": EVENT.id}}
    assert document == EVENT.public()
    assert b"secret" not in body
    assert count(failures) == 0


def test_refused_documents_are_counted() -> None:
    """`_bulk` answers 200 even if a document was refused; that one is counted."""
    with opensearch(400) as (url, _came):
        started, failures = index(url)
        started.add(EVENT)
        wait_until(lambda: count(failures) == 1)
    assert count(failures) == 1


def test_nobody_there_is_counted() -> None:
    """An OpenSearch that does not answer costs a count, nothing else."""
    started, failures = index(f"http://127.0.0.1:{free_port()}")
    started.add(EVENT)
    wait_until(lambda: count(failures) == 1)
    assert count(failures) == 1
