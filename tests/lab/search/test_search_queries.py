from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from opensearchpy import NotFoundError, OpenSearch, RequestError, TransportError

from aegis_flows.lab.loopback import serving
from aegis_flows.lab.search import dates
from aegis_flows.lab.search.app import app
from aegis_flows.lab.search.errors import SearchError
from aegis_flows.lab.search.points_in_time import PointsInTime

NOW = datetime.now(UTC)  # the events lie hours apart, so that it does not matter how long ago this file was read
FIELDS = {
    "at": {"type": "date"},
    "reason": {"type": "keyword"},
    "prompt": {"type": "text"},
    "score": {"type": "double"},
    "flagged": {"type": "boolean"},
}


def event(hours_ago: int, reason: str | None, *, score: float, **others: object) -> dict[str, Any]:
    at = (NOW - timedelta(hours=hours_ago)).isoformat()
    return {"at": at, "reason": reason, "score": score, "flagged": reason is not None, **others}


EVENTS = {
    "a": event(1, "jailbreak", score=0.9, prompt="Ignore all Rules", pod={"name": "aegis-1", "zone": "x"}),
    "b": event(10, "pii", score=0.5, prompt="My card number", tags=["card", "money"]),
    "c": event(20, "jailbreak", score=0.7),
    "d": event(90, None, score=0.1),
}


@pytest.fixture(scope="module")
def client() -> Iterator[OpenSearch]:
    with serving(app()) as url, OpenSearch(url) as opensearch:
        opensearch.indices.create(index="audit-1", body={"mappings": {"properties": FIELDS}})
        for key, document in EVENTS.items():
            opensearch.index(index="audit-1", id=key, body=document)
        opensearch.indices.refresh(index="audit-1")
        yield opensearch


def error_of(refusal: pytest.ExceptionInfo[TransportError]) -> dict[str, Any]:
    info = refusal.value.info
    assert isinstance(info, dict)
    return dict(info["error"])


def ids(client: OpenSearch, query: object, **others: object) -> list[str]:
    hits = client.search(index="audit-*", body={"query": query, **others})["hits"]["hits"]
    return [hit["_id"] for hit in hits]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"match_all": {}}, "abcd"),
        ({"term": {"reason": "pii"}}, "b"),
        ({"term": {"reason": {"value": "jailbreak"}}}, "ac"),
        ({"term": {"flagged": False}}, "d"),
        ({"term": {"flagged": "true"}}, "abc"),
        ({"term": {"score": "0.5"}}, "b"),
        ({"term": {"prompt": "rules"}}, "a"),
        ({"term": {"prompt": "Rules"}}, ""),
        ({"term": {"tags.keyword": "money"}}, "b"),
        ({"term": {"nowhere": 1}}, ""),
        ({"terms": {"reason": ["pii", "other"]}}, "b"),
        ({"range": {"at": {"gte": "now-15h"}}}, "ab"),
        ({"range": {"at": {"lt": "now-15h", "gte": "now-60h"}}}, "c"),
        ({"range": {"at": {"gte": (NOW - timedelta(hours=10)).isoformat()}}}, "ab"),
        ({"range": {"at": {"gt": (NOW - timedelta(hours=10)).isoformat()}}}, "a"),
        ({"range": {"score": {"gt": 0.5, "lte": 0.9}}}, "ac"),
        ({"range": {"nowhere": {"gt": 1}}}, ""),
        ({"exists": {"field": "reason"}}, "abc"),
        ({"exists": {"field": "pod"}}, "a"),
        ({"ids": {"values": ["a", "d", "z"]}}, "ad"),
        ({"bool": {"filter": [{"term": {"reason": "jailbreak"}}, {"range": {"score": {"lt": 0.8}}}]}}, "c"),
        ({"bool": {"must": {"exists": {"field": "reason"}}, "must_not": {"term": {"reason": "pii"}}}}, "ac"),
        ({"bool": {"should": [{"term": {"reason": "pii"}}, {"term": {"score": 0.1}}]}}, "bd"),
        ({"bool": {"filter": {"match_all": {}}, "should": {"term": {"reason": "pii"}}}}, "abcd"),
        (
            {"bool": {"filter": {"match_all": {}}, "should": {"term": {"reason": "pii"}}, "minimum_should_match": 1}},
            "b",
        ),
        ({"bool": {}}, "abcd"),
    ],
)
def test_a_query_finds_what_opensearch_would(client: OpenSearch, query: dict[str, object], found: str) -> None:
    """Fields are compared as their type says: keywords whole, text by its lower-case words, dates with date math."""
    assert "".join(ids(client, query)) == found
    assert client.count(index="audit-1", body={"query": query})["count"] == len(found)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"query": {"match_phrase_of_the_day": {}}}, "parsing_exception"),
        ({"query": {"term": {"reason": "a"}, "range": {}}}, "parsing_exception"),
        ({"query": {}}, "illegal_argument_exception"),
        ({"query": {"range": {"at": {"from": "now"}}}}, "parsing_exception"),
        ({"query": {"bool": {"filters": []}}}, "parsing_exception"),
        ({"query": {"bool": {"must": [{"bool": {"boost": 2}}]}}}, "parsing_exception"),
        ({"query": {"term": {"reason": {"value": "a", "case_insensitive": True}}}}, "parsing_exception"),
        ({"query": {"term": {"_index": "audit-1"}}}, "illegal_argument_exception"),
        ({"query": {"range": {"at": {"gte": "soon"}}}}, "query_shard_exception"),
        ({"query": {"range": {"at": {"gte": "now-15x"}}}}, "query_shard_exception"),
        ({"query": {"term": {"score": "high"}}}, "query_shard_exception"),
        ({"highlight": {}}, "parsing_exception"),
        ({"size": -1}, "illegal_argument_exception"),
        ({"size": 9_000, "from": 1_001}, "illegal_argument_exception"),
        ({"sort": "nowhere"}, "query_shard_exception"),
        ({"sort": "prompt"}, "illegal_argument_exception"),
        ({"sort": {"at": "up"}}, "illegal_argument_exception"),
        ({"sort": {"at": {"mode": "max"}}}, "parsing_exception"),
        ({"search_after": [1]}, "illegal_argument_exception"),
        ({"sort": ["at"], "search_after": [1, 2]}, "illegal_argument_exception"),
        ({"_source": {"include": ["at"]}}, "parsing_exception"),
        ({"track_total_hits": 0}, "illegal_argument_exception"),
    ],
)
def test_nothing_of_a_search_is_passed_over(client: OpenSearch, body: dict[str, object], kind: str) -> None:
    """A clause, key or value that is wrong or not known here is a 400 with the type of OpenSearch's error."""
    with pytest.raises(RequestError) as refusal:
        client.search(index="audit-1", body=body)

    assert refusal.value.status_code == 400
    assert error_of(refusal)["root_cause"][0]["type"] == kind


def test_a_parameter_that_is_not_known_is_refused(client: OpenSearch) -> None:
    """Also `scroll`, which this stand-in has not: points in time take its place."""
    with pytest.raises(RequestError) as refusal:
        client.search(index="audit-1", scroll="1m")

    assert "unrecognized parameter: [scroll]" in str(error_of(refusal)["reason"])


def test_hits_are_sorted_and_paged(client: OpenSearch) -> None:
    """By several keys, missing values last, with sort values that `search_after` takes."""
    sort = [{"reason": {"order": "asc"}}, {"score": "desc"}]

    first = client.search(index="audit-1", body={"sort": sort, "size": 2})["hits"]["hits"]
    second = client.search(index="audit-1", body={"sort": sort, "search_after": first[-1]["sort"]})["hits"]["hits"]

    assert [hit["_id"] for hit in first + second] == ["a", "c", "b", "d"]
    assert first[0]["sort"] == ["jailbreak", 0.9]
    assert first[0]["_score"] is None
    assert ids(client, {"match_all": {}}, sort=[{"at": "desc"}], **{"from": 1, "size": 2}) == ["b", "c"]
    assert ids(client, {"match_all": {}}, sort=[{"reason": {"missing": "_first"}}, "at"])[0] == "d"
    assert ids(client, {"match_all": {}}, sort=[{"nowhere": {"unmapped_type": "long"}}]) == list("abcd")


def test_a_date_is_sorted_on_as_epoch_milliseconds(client: OpenSearch) -> None:
    """The sort value is a number, and comes back as the place to go on from."""
    newest = client.search(index="audit-1", body={"sort": [{"at": "desc"}], "size": 1})["hits"]["hits"][0]

    assert newest["sort"] == [int((NOW - timedelta(hours=1)).timestamp() * 1000)]
    assert ids(client, {"match_all": {}}, sort=[{"at": "desc"}], search_after=newest["sort"]) == ["b", "c", "d"]


@pytest.mark.parametrize(
    ("wanted", "source"),
    [
        (["reason", "pod.name"], {"reason": "jailbreak", "pod": {"name": "aegis-1"}}),
        ("pod", {"pod": {"name": "aegis-1", "zone": "x"}}),
        ({"includes": ["pod.*"], "excludes": ["*.zone"]}, {"pod": {"name": "aegis-1"}}),
        ({"excludes": ["prompt", "at", "pod", "score"]}, {"reason": "jailbreak", "flagged": True}),
    ],
)
def test_the_source_is_cut_to_what_was_asked(client: OpenSearch, wanted: object, source: dict[str, object]) -> None:
    """Patterns include or exclude by path; a private prompt need not leave the index."""
    body = {"query": {"ids": {"values": ["a"]}}, "_source": wanted}

    assert client.search(index="audit-1", body=body)["hits"]["hits"][0]["_source"] == source


def test_without_source_there_is_none(client: OpenSearch) -> None:
    """`_source: false`, and the same in the address."""
    by_body = client.search(index="audit-1", body={"_source": False})["hits"]["hits"]
    by_address = client.search(index="audit-1", _source_includes="reason", size=1)["hits"]["hits"]

    assert all("_source" not in hit for hit in by_body)
    assert by_address[0]["_source"] == {"reason": "jailbreak"}


@pytest.mark.parametrize(
    ("track", "total"),
    [
        (True, {"value": 4, "relation": "eq"}),
        (3, {"value": 3, "relation": "gte"}),
        (4, {"value": 4, "relation": "eq"}),
        (False, None),
    ],
)
def test_hits_are_counted_as_far_as_asked(client: OpenSearch, track: object, total: object) -> None:
    """`track_total_hits` bounds the count; false leaves it out."""
    answer = client.search(index="audit-1", body={"track_total_hits": track, "size": 0})

    assert answer["hits"].get("total") == total
    assert answer["hits"]["hits"] == []


def test_a_point_in_time_stays_as_it_was(client: OpenSearch) -> None:
    """Pages over it see neither later documents nor deletions, until it is deleted."""
    client.index(index="audit-2", id="x", body={"n": 1})
    point = client.create_pit(index="audit-2", keep_alive="1m")["pit_id"]
    client.index(index="audit-2", id="y", body={"n": 2})
    client.delete(index="audit-2", id="x")

    search = {"pit": {"id": point, "keep_alive": "1m"}, "sort": ["n"]}
    then = client.search(body=search)
    deleted = client.delete_pit(body={"pit_id": [point]})

    client.indices.delete(index="audit-2")
    assert [hit["_id"] for hit in then["hits"]["hits"]] == ["x"]
    assert then["pit_id"] == point
    assert deleted["pits"] == [{"pit_id": point, "successful": True}]
    with pytest.raises(NotFoundError) as gone:
        client.search(body=search)
    assert error_of(gone)["type"] == "search_context_missing_exception"


def test_a_point_in_time_names_its_indices_itself(client: OpenSearch) -> None:
    """An index in the address beside it is refused, and so is one without a time to live."""
    point = client.create_pit(index="audit-1", keep_alive="1m")["pit_id"]

    with pytest.raises(RequestError) as beside:
        client.search(index="audit-1", body={"pit": {"id": point}})
    with pytest.raises(RequestError) as timeless:
        client.transport.perform_request("POST", "/audit-1/_search/point_in_time")

    assert beside.value.error == timeless.value.error == "action_request_validation_exception"
    assert client.delete_all_pits()["pits"]


def test_a_point_in_time_ends_unless_it_is_used() -> None:
    """Each search prolongs it by its own keep_alive; then it is gone."""
    now = 0.0
    points = PointsInTime(clock=lambda: now)
    key = points.create([], 1000)["pit_id"]
    now = 0.9
    points.views(key, 1000)
    now = 1.8
    assert points.views(key, None) == []

    now = 1.91
    with pytest.raises(SearchError, match="No search context found"):
        points.views(key, None)


@pytest.mark.parametrize(
    ("text", "round_up", "moment"),
    [
        ("now", False, "2026-11-23T10:30:15.500Z"),
        ("now-15m", False, "2026-11-23T10:15:15.500Z"),
        ("now-1d/d", False, "2026-11-22T00:00:00.000Z"),
        ("now/d", True, "2026-11-23T23:59:59.999Z"),
        ("now/w", False, "2026-11-23T00:00:00.000Z"),
        ("now+1M/M", False, "2026-12-01T00:00:00.000Z"),
        ("2026-01-31||+1M", False, "2026-02-28T00:00:00.000Z"),
        ("2024-02-29||-1y", False, "2023-02-28T00:00:00.000Z"),
        ("2026-11-23", False, "2026-11-23T00:00:00.000Z"),
        ("2026-11", False, "2026-11-01T00:00:00.000Z"),
        ("2026-11-23T12:00:00+02:00", False, "2026-11-23T10:00:00.000Z"),
        (1795429815500, False, "2026-11-23T10:30:15.500Z"),
        ("1795429815500", False, "2026-11-23T10:30:15.500Z"),
    ],
)
def test_date_math(text: object, round_up: bool, moment: str) -> None:
    """Moments are ISO 8601, epoch milliseconds or steps from now; `/unit` rounds."""
    now = datetime(2026, 11, 23, 10, 30, 15, 500_000, tzinfo=UTC)

    assert dates.shown(dates.math(text, now, round_up=round_up)) == moment


def test_a_search_may_be_a_get_with_a_body(client: OpenSearch) -> None:
    """As many tools send it, and with `q`, which is not known here, refused."""
    url = client.transport.get_connection().host

    answer = httpx.request("GET", f"{url}/audit-1/_search", json={"query": {"term": {"reason": "pii"}}})

    assert answer.json()["hits"]["total"]["value"] == 1
    assert httpx.get(f"{url}/audit-1/_search?q=reason:pii").status_code == 400
