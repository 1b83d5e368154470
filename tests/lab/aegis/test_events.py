import hashlib
import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from aegis_flows.lab.aegis import events

AT = datetime(2026, 11, 23, 7, 5, tzinfo=UTC)


def test_key_follows_from_content() -> None:
    """The key names day, hour, pod, number, count and digest of the very bytes."""
    batch = events.batch([b"a\n", b"b\n"], "aegis-1", 7, AT)
    digest = hashlib.sha256(b"a\nb\n").hexdigest()
    assert batch == events.Batch(f"audit/2026-11-23/07/aegis-1-00000007-2-{digest}.jsonl", b"a\nb\n", 2)


def test_event_line() -> None:
    """An event is one line of JSON with its prompt and the prompt's digest; its public form lacks the prompt."""
    event = events.event("zwei\nZeilen ü", "pii", pii=True, pod="aegis-1", at=AT)
    line = event.line()
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "id": event.id,
        "at": "2026-11-23T07:05:00+00:00",
        "pod": "aegis-1",
        "reason": "pii",
        "flagged": True,
        "pii": True,
        "prompt_sha256": hashlib.sha256("zwei\nZeilen ü".encode()).hexdigest(),
        "prompt": "zwei\nZeilen ü",
    }
    assert "prompt" not in event.public()


@given(st.lists(st.sampled_from([1, 1000, 300_000, events.MAX_BYTES, events.MAX_BYTES + 1]), max_size=1100))
def test_cutting_keeps_limits_and_order(sizes: list[int]) -> None:
    """Cut after cut takes the lines in order; no batch is over a limit, but for a single line that is."""
    lines = [memoryview(LARGE)[:size] for size in sizes]
    taken = 0
    while taken < len(lines):
        count = events.fitting(lines[taken:])  # type: ignore[arg-type]  # only lengths matter here
        size = sum(sizes[taken : taken + count])
        assert 1 <= count <= events.MAX_EVENTS
        assert size <= events.MAX_BYTES or count == 1
        taken += count
    assert taken == len(lines)


LARGE = bytes(events.MAX_BYTES + 1)
