from collections.abc import Iterator
from typing import Any

import pytest
from opensearchpy import OpenSearch, RequestError, TransportError

from aegis_flows.lab.loopback import serving
from aegis_flows.lab.search.app import app

FIELDS = {
    "at": {"type": "date"},
    "reason": {"type": "keyword"},
    "prompt": {"type": "text"},
    "pii": {"type": "boolean"},
}
EVENTS = [
    {"at": "2026-11-23T10:00:05Z", "reason": "jailbreak", "pii": False, "prompt": "x", "labels": ["a", "b"]},
    {"at": "2026-11-23T10:00:55Z", "reason": "jailbreak", "pii": True},
    {"at": "2026-11-23T10:03:00Z", "reason": "pii", "pii": True, "labels": ["b"]},
    {"at": "2026-11-23T10:03:30Z", "reason": "abuse", "pii": False},
    {"at": "2026-11-23T10:03:40Z"},
]


@pytest.fixture(scope="module")
def client() -> Iterator[OpenSearch]:
    with serving(app()) as url, OpenSearch(url) as opensearch:
        opensearch.indices.create(index="audit", body={"mappings": {"properties": FIELDS}})
        for document in EVENTS:
            opensearch.index(index="audit", body=document)
        yield opensearch


def error_of(refusal: pytest.ExceptionInfo[TransportError]) -> dict[str, Any]:
    info = refusal.value.info
    assert isinstance(info, dict)
    return dict(info["error"])


def aggregate(client: OpenSearch, aggs: object, **others: object) -> dict[str, Any]:
    answer: dict[str, Any] = client.search(index="audit", body={"size": 0, "aggs": aggs, **others})["aggregations"]
    return answer


def test_terms_count_the_values_of_a_field(client: OpenSearch) -> None:
    """Most frequent first, then by key; what does not fit the size is told as a sum."""
    found = aggregate(client, {"reasons": {"terms": {"field": "reason", "size": 2}}})["reasons"]

    assert found["buckets"] == [{"key": "jailbreak", "doc_count": 2}, {"key": "abuse", "doc_count": 1}]
    assert found["sum_other_doc_count"] == 1


def test_terms_can_be_ordered_and_bounded(client: OpenSearch) -> None:
    """By key, and leaving out what is rare."""
    by_key = aggregate(client, {"x": {"terms": {"field": "reason", "order": {"_key": "desc"}}}})["x"]["buckets"]
    frequent = aggregate(client, {"x": {"terms": {"field": "reason", "min_doc_count": 2}}})["x"]["buckets"]
    rare_first = aggregate(client, {"x": {"terms": {"field": "reason", "order": {"_count": "asc"}}}})["x"]["buckets"]

    assert [bucket["key"] for bucket in by_key] == ["pii", "jailbreak", "abuse"]
    assert [bucket["key"] for bucket in frequent] == ["jailbreak"]
    assert [bucket["key"] for bucket in rare_first] == ["abuse", "pii", "jailbreak"]


def test_a_document_with_several_values_is_in_several_buckets(client: OpenSearch) -> None:
    """Once in each; a boolean's key is a number with its word beside it."""
    labels = aggregate(client, {"x": {"terms": {"field": "labels.keyword"}}})["x"]["buckets"]
    pii = aggregate(client, {"x": {"terms": {"field": "pii"}}})["x"]["buckets"]

    assert [(bucket["key"], bucket["doc_count"]) for bucket in labels] == [("b", 2), ("a", 1)]
    assert pii[0] == {"key": 0, "key_as_string": "false", "doc_count": 2}


def test_a_date_histogram_has_its_gaps(client: OpenSearch) -> None:
    """Minutes without events are there with 0, unless at least one is asked for."""
    histogram = {"field": "at", "fixed_interval": "1m"}

    every = aggregate(client, {"x": {"date_histogram": histogram}})["x"]["buckets"]
    filled = aggregate(client, {"x": {"date_histogram": {**histogram, "min_doc_count": 1}}})["x"]["buckets"]

    assert [bucket["doc_count"] for bucket in every] == [2, 0, 0, 3]
    assert every[0]["key_as_string"] == "2026-11-23T10:00:00.000Z"
    assert [bucket["doc_count"] for bucket in filled] == [2, 3]


def test_counts_are_of_values(client: OpenSearch) -> None:
    """`value_count` counts them all, `cardinality` each one once; a field that no document has gives 0."""
    found = aggregate(
        client,
        {
            "all": {"value_count": {"field": "reason"}},
            "each": {"cardinality": {"field": "reason"}},
            "none": {"value_count": {"field": "nowhere"}},
        },
    )

    assert {name: answer["value"] for name, answer in found.items()} == {"all": 4, "each": 3, "none": 0}


def test_aggregations_stand_inside_each_other_and_see_what_the_query_found(client: OpenSearch) -> None:
    """A filter narrows what is below it; the query narrows all."""
    reasons = {"reasons": {"terms": {"field": "reason"}, "aggs": {"events": {"value_count": {"field": "at"}}}}}

    found = aggregate(
        client,
        {"private": {"filter": {"term": {"pii": True}}, "aggs": reasons}},
        query={"range": {"at": {"gte": "2026-11-23T10:01:00Z"}}},
    )["private"]

    assert found["doc_count"] == 1
    assert found["reasons"]["buckets"] == [{"key": "pii", "doc_count": 1, "events": {"value": 1}}]


@pytest.mark.parametrize(
    ("agg", "kind"),
    [
        ({"percentile_of_luck": {"field": "at"}}, "parsing_exception"),
        ({"terms": {"field": "reason", "include": "j.*"}}, "parsing_exception"),
        ({"terms": {"field": "prompt"}}, "illegal_argument_exception"),
        ({"terms": {"field": "reason", "order": {"events": "asc"}}}, "illegal_argument_exception"),
        ({"terms": {"size": 3}}, "illegal_argument_exception"),
        ({"date_histogram": {"field": "at", "calendar_interval": "1d"}}, "parsing_exception"),
        ({"date_histogram": {"field": "at", "fixed_interval": "1 minute"}}, "illegal_argument_exception"),
        ({"date_histogram": {"field": "reason", "fixed_interval": "1m"}}, "illegal_argument_exception"),
        ({"filter": {"unknown": {}}}, "parsing_exception"),
        ({"terms": {"field": "reason"}, "value_count": {"field": "at"}}, "parsing_exception"),
        ({}, "parsing_exception"),
    ],
)
def test_an_aggregation_that_would_not_be_obeyed_is_refused(
    client: OpenSearch, agg: dict[str, object], kind: str
) -> None:
    """400 with the type of OpenSearch's error, also for what only this stand-in cannot do."""
    with pytest.raises(RequestError) as refusal:
        aggregate(client, {"x": agg})

    assert error_of(refusal)["root_cause"][0]["type"] == kind


def test_a_histogram_does_not_grow_without_bounds(client: OpenSearch) -> None:
    """More than 65,535 buckets are refused before they are made."""
    with pytest.raises(TransportError) as refusal:
        aggregate(client, {"x": {"date_histogram": {"field": "at", "fixed_interval": "1ms"}}})

    assert refusal.value.status_code == 503
    assert refusal.value.error == "too_many_buckets_exception"
