"""Whatever a client sends, a stub answers as its vendor would: with a refusal, never with a crash."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aegis_flows.lab.loopback import serving
from aegis_flows.lab.pagerduty.account import Service, User
from aegis_flows.lab.pagerduty.app import app as pagerduty
from aegis_flows.lab.search.app import app as search
from aegis_flows.lab.slack.app import Options
from aegis_flows.lab.slack.app import app as slack

TOKEN = "token"
TEXT = {"type": "mrkdwn", "text": "words"}
BUTTON = {"type": "button", "text": {"type": "plain_text", "text": "Go"}, "action_id": "a", "value": "v", "url": "x"}
SLACK: list[dict[str, object]] = [
    {"channel": "oncall", "text": "x", "thread_ts": "1.0", "cursor": "x", "limit": 1, "oldest": "1", "ts": "1.0"},
    {
        "channel": "oncall",
        "blocks": [
            {"type": "section", "text": TEXT, "fields": [TEXT], "accessory": BUTTON},
            {
                "type": "actions",
                "block_id": "b",
                "elements": [{**BUTTON, "confirm": {"text": TEXT}, "style": "danger"}],
            },
            {"type": "context", "elements": [TEXT]},
        ],
    },
    {
        "channel": "oncall",
        "username": "x",
        "attachments": [
            {
                "title": "x",
                "title_link": "http://x",
                "text": "x",
                "pretext": "x",
                "footer": "x",
                "color": "danger",
                "fields": [{"title": "x", "value": "x", "short": True}],
                "actions": [{"type": "button", "text": "x", "url": "http://x"}],
                "blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x"}}],
            }
        ],
    },
]
PAGERDUTY: list[dict[str, object]] = [
    {
        "routing_key": "a" * 32,
        "event_action": "trigger",
        "dedup_key": "x",
        "client": "x",
        "client_url": "http://x",
        "links": [{"href": "http://x", "text": "x"}],
        "payload": {"summary": "x", "source": "x", "severity": "info", "custom_details": {"x": "y"}},
    },
    {"incident": {"type": "incident_reference", "status": "acknowledged", "resolution": "x"}},
    {"note": {"content": "x"}},
]
SEARCH: list[dict[str, object]] = [
    {
        "query": {"bool": {"filter": [{"term": {"n": 1}}, {"range": {"at": {"gte": "now-1d/d"}}}], "should": []}},
        "sort": [{"at": {"order": "asc", "missing": "_last", "unmapped_type": "date"}}, "n"],
        "search_after": ["2026-11-23", 1],
        "_source": {"includes": ["x"], "excludes": []},
        "size": 1,
        "track_total_hits": True,
    },
    {
        "query": {"bool": {"must_not": {"terms": {"x": ["a"]}}, "minimum_should_match": 0}},
        "aggs": {
            "a": {
                "terms": {"field": "n", "size": 1, "order": {"_key": "asc"}},
                "aggs": {"b": {"filter": {"ids": {"values": []}}}},
            },
            "c": {"date_histogram": {"field": "at", "fixed_interval": "1d", "min_doc_count": 1}},
        },
    },
    {"pit": {"id": "x", "keep_alive": "1m"}, "from": 1},
    {
        "settings": {"index": {"number_of_shards": 1}},
        "mappings": {
            "dynamic": "strict",
            "properties": {
                "at": {"type": "date", "format": "epoch_millis"},
                "k": {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 3}}},
                "o": {"properties": {"x": {"type": "long"}}},
            },
        },
    },
    {"properties": {"new": {"type": "long"}}},
    {"at": "2026-11-23", "n": 1, "x": ["word", None], "o": {"deep": [{"er": 1.5}]}},
    {"index": {"_index": "i", "_id": "1"}},
]
JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1.5, "", "junk", [], [1], ["junk"], [[]], {}, {"junk": 1}, {"junk": {}}]
)


@st.composite
def spoiled(draw: st.DrawFn, bodies: list[dict[str, object]]) -> object:
    """A proper body in which one or two things, anywhere, became something else."""
    body = draw(st.sampled_from(bodies))
    for _ in range(draw(st.integers(1, 2))):
        body = _with_junk(draw, body)
    return body


def _with_junk(draw: st.DrawFn, value: Any) -> Any:
    if not value or not isinstance(value, dict | list) or draw(st.integers(0, 5)) == 0:
        return draw(JUNK)
    if isinstance(value, list):
        spot = draw(st.integers(0, len(value) - 1))
        return [_with_junk(draw, one) if number == spot else one for number, one in enumerate(value)]
    key = draw(st.sampled_from(sorted(value)))
    return {**value, key: _with_junk(draw, value[key])}


some = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def slack_url() -> Iterator[str]:
    with serving(slack(Options(TOKEN, {"alerts": "aegis-alerts"}, (), ("oncall",)))) as url:
        yield url


@pytest.fixture(scope="module")
def pagerduty_url() -> Iterator[str]:
    sam = User("Sam Rivera", "sam@aegis.example")
    with serving(pagerduty((sam,), (Service("sre", "a" * 32, sam),), TOKEN)) as url:
        yield url


@pytest.fixture(scope="module")
def search_url() -> Iterator[str]:
    with serving(search()) as url:
        httpx.put(f"{url}/i/_doc/1", json={"at": "2026-11-23T10:00:00Z", "n": 1, "x": "word"}).raise_for_status()
        yield url


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(headers={"Authorization": f"Token token={TOKEN}", "From": "sam@aegis.example"}) as client:
        yield client


@some
@given(
    body=spoiled(SLACK),
    path=st.sampled_from(
        ["services/T/alerts/x", "api/chat.postMessage", "api/chat.update", "api/conversations.history"]
    ),
)
def test_slack(slack_url: str, http: httpx.Client, body: object, path: str) -> None:
    """A webhook or Web API call of any shape is answered, and the page can still show the channel."""
    answer = http.post(f"{slack_url}/{path}", json=body, headers={"Authorization": f"Bearer {TOKEN}"})

    assert answer.status_code < 500
    assert http.get(slack_url).status_code == 200


@some
@given(body=spoiled(PAGERDUTY), target=st.sampled_from(["v2/enqueue", "incidents/{id}", "incidents/{id}/notes"]))
def test_pagerduty(pagerduty_url: str, http: httpx.Client, body: object, target: str) -> None:
    """An event or a write of any shape is answered, and list and page still show the incidents."""
    http.post(f"{pagerduty_url}/v2/enqueue", json=PAGERDUTY[0]).raise_for_status()
    listed = http.get(f"{pagerduty_url}/incidents", params={"sort_by": "created_at:desc"}).json()["incidents"]

    method = "PUT" if target == "incidents/{id}" else "POST"
    answer = http.request(method, f"{pagerduty_url}/{target.format(id=listed[0]['id'])}", json=body)

    assert answer.status_code < 500
    assert http.get(f"{pagerduty_url}/incidents").status_code == 200
    assert http.get(f"{pagerduty_url}/incidents/{listed[0]['id']}/alerts").status_code == 200
    assert http.get(pagerduty_url).status_code == 200


@some
@given(
    body=spoiled(SEARCH),
    target=st.sampled_from(
        ["POST i/_search", "POST i/_count", "PUT new", "PUT i/_mapping", "PUT i/_doc/2", "POST _bulk"]
    ),
)
def test_search(search_url: str, http: httpx.Client, body: object, target: str) -> None:
    """A search, a mapping, a document or a bulk of any shape is answered, and the index can still be searched."""
    method, _, path = target.partition(" ")
    lines = json.dumps({"index": {"_index": "i"}}) + "\n" + json.dumps(body) + "\n"
    content = lines if path == "_bulk" else json.dumps(body)

    answer = http.request(method, f"{search_url}/{path}", content=content)

    assert answer.status_code < 500 or answer.json()["error"]["type"] == "too_many_buckets_exception"
    http.delete(f"{search_url}/new")
    assert http.get(f"{search_url}/_search").status_code == 200
