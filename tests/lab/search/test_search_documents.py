from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from opensearchpy import ConflictError, NotFoundError, OpenSearch, RequestError, TransportError, helpers

from aegis_flows.lab.loopback import serving
from aegis_flows.lab.search.app import app


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(app()) as base_url:
        yield base_url


@pytest.fixture
def client(url: str) -> Iterator[OpenSearch]:
    """Over an empty cluster."""
    with OpenSearch(url) as opensearch:
        opensearch.indices.delete(index="_all")
        yield opensearch


def error_of(refusal: pytest.ExceptionInfo[TransportError]) -> dict[str, Any]:
    info = refusal.value.info
    assert isinstance(info, dict)
    return dict(info["error"])


def kind_of(refusal: pytest.ExceptionInfo[RequestError]) -> str:
    return str(error_of(refusal)["root_cause"][0]["type"])


def test_it_says_that_it_is_an_opensearch(client: OpenSearch) -> None:
    """`GET /` names distribution and version, by which clients choose how to talk."""
    assert client.ping()
    assert client.info()["version"]["distribution"] == "opensearch"


def test_a_document_is_kept_changed_and_deleted(client: OpenSearch) -> None:
    """Each write raises version and sequence number; what is gone is 404."""
    first = client.index(index="audit", id="1", body={"reason": "jailbreak"})
    second = client.index(index="audit", id="1", body={"reason": "pii"}, refresh=True)

    assert (first["result"], second["result"]) == ("created", "updated")
    assert (first["_version"], second["_version"]) == (1, 2)
    assert second["_seq_no"] > first["_seq_no"]
    assert client.get(index="audit", id="1")["_source"] == {"reason": "pii"}
    assert client.delete(index="audit", id="1")["result"] == "deleted"
    assert not client.exists(index="audit", id="1")
    with pytest.raises(NotFoundError):
        client.get(index="audit", id="1")


def test_create_refuses_an_id_that_is_there(client: OpenSearch) -> None:
    """The second `create` is a 409 and changes nothing."""
    client.create(index="audit", id="1", body={"reason": "first"})

    with pytest.raises(ConflictError):
        client.create(index="audit", id="1", body={"reason": "second"})

    assert client.get(index="audit", id="1")["_source"] == {"reason": "first"}


def test_a_bulk_reports_each_action_for_itself(client: OpenSearch) -> None:
    """A conflict and a document that does not fit stop none of the others."""
    client.indices.create(index="audit", body={"mappings": {"properties": {"n": {"type": "long"}}}})
    body = [
        {"index": {"_index": "audit", "_id": "1"}}, {"n": 1},
        {"create": {"_index": "audit", "_id": "1"}}, {"n": 2},
        {"index": {"_index": "audit", "_id": "2"}}, {"n": "many"},
        {"delete": {"_index": "audit", "_id": "3"}},
        {"index": {"_index": "audit", "_id": "4"}}, {"n": "4"},
    ]  # fmt: skip

    answer = client.bulk(body=body)

    statuses = [(action, item["status"]) for entry in answer["items"] for action, item in entry.items()]
    assert answer["errors"]
    assert statuses == [("index", 201), ("create", 409), ("index", 400), ("delete", 404), ("index", 201)]
    assert answer["items"][2]["index"]["error"]["type"] == "mapper_parsing_exception"
    assert client.count(index="audit")["count"] == 2


def test_the_client_s_own_bulk_helper_works(client: OpenSearch) -> None:
    """`helpers.bulk` writes thousands of documents in chunks and counts them."""
    documents = ({"_index": "audit", "_id": str(number), "number": number} for number in range(1200))

    written, errors = helpers.bulk(client, documents)

    assert (written, errors) == (1200, [])
    assert client.count(index="audit")["count"] == 1200


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"index":{"_index":"a"}}\n{"n":1}', "must be terminated by a newline"),
        (b'{"update":{"_index":"a","_id":"1"}}\n{"doc":{}}\n', "but found [update]"),
        (b'{"index":{"_index":"a","routing":"x"}}\n{}\n', "unknown parameter [routing]"),
        (b'{"index":{}}\n{}\n', "index is missing"),
        (b"nonsense\n", "Malformed action/metadata line [1]"),
        (b'{"index":{"_index":"a"}}\n', "Malformed action/metadata line [1]"),
    ],
)
def test_a_malformed_bulk_writes_nothing(client: OpenSearch, url: str, body: bytes, reason: str) -> None:
    """A line that cannot be read refuses the whole request."""
    answer = httpx.post(f"{url}/_bulk", content=body, headers={"Content-Type": "application/x-ndjson"})

    assert answer.status_code == 400
    assert reason in answer.json()["error"]["reason"]
    assert not client.indices.exists(index="a")


def test_a_mapping_is_kept_and_grows(client: OpenSearch) -> None:
    """Declared fields stay as they were declared; new ones get the type of their first value."""
    declared = {"at": {"type": "date"}, "reason": {"type": "keyword"}}
    client.indices.create(index="audit", body={"mappings": {"properties": declared}})
    client.indices.put_mapping(index="audit", body={"properties": {"pod": {"type": "keyword"}}})

    client.index(
        index="audit", body={"note": "words", "n": 1, "pii": True, "seen": "2026-11-23T10:00:00Z", "by": {"a": 1.5}}
    )

    properties = client.indices.get_mapping(index="audit")["audit"]["mappings"]["properties"]
    assert {name: properties[name]["type"] for name in ("at", "reason", "pod", "note", "n", "pii", "seen")} == {
        "at": "date", "reason": "keyword", "pod": "keyword",
        "note": "text", "n": "long", "pii": "boolean", "seen": "date",
    }  # fmt: skip
    assert properties["by"] == {"properties": {"a": {"type": "float"}}}


@pytest.mark.parametrize("document", [{"at": "yesterday"}, {"n": "many"}, {"n": {"deep": 1}}, {"by": "flat"}])
def test_a_document_that_does_not_fit_is_refused(client: OpenSearch, document: dict[str, object]) -> None:
    """400 mapper_parsing_exception; neither the document nor a new field is kept."""
    fields = {"at": {"type": "date"}, "n": {"type": "long"}, "by": {"properties": {"a": {"type": "long"}}}}
    client.indices.create(index="audit", body={"mappings": {"properties": fields}})

    with pytest.raises(RequestError) as refusal:
        client.index(index="audit", id="1", body={"new": 1, **document})

    assert kind_of(refusal) == "mapper_parsing_exception"
    assert not client.exists(index="audit", id="1")
    assert "new" not in client.indices.get_mapping(index="audit")["audit"]["mappings"]["properties"]


def test_a_strict_mapping_takes_no_new_field(client: OpenSearch) -> None:
    """`dynamic: strict` refuses what it does not know, `dynamic: false` keeps it unsearchable."""
    client.indices.create(index="strict", body={"mappings": {"dynamic": "strict", "properties": {}}})
    client.indices.create(index="loose", body={"mappings": {"dynamic": False, "properties": {}}})

    with pytest.raises(RequestError) as refusal:
        client.index(index="strict", body={"prompt": "private"})
    client.index(index="loose", body={"prompt": "private"})

    assert kind_of(refusal) == "strict_dynamic_mapping_exception"
    assert client.count(index="loose", body={"query": {"exists": {"field": "prompt"}}})["count"] == 0
    assert client.count(index="loose")["count"] == 1


@pytest.mark.parametrize(
    ("mappings", "reason"),
    [
        ({"properties": {"x": {"type": "geo_point"}}}, "No handler for type [geo_point]"),
        ({"properties": {"x": {"type": "keyword", "index": False}}}, "unknown parameter [index]"),
        ({"properties": {"x": {"type": "date", "format": "yyyy"}}}, "date format [yyyy]"),
        ({"_source": {"enabled": False}}, "unsupported parameters"),
        ({"properties": []}, "Expected map"),
    ],
)
def test_a_mapping_that_would_not_be_obeyed_is_refused(
    client: OpenSearch, mappings: dict[str, object], reason: str
) -> None:
    """What this stand-in cannot do it says, and makes no index."""
    with pytest.raises(RequestError) as refusal:
        client.indices.create(index="audit", body={"mappings": mappings})

    assert reason in str(error_of(refusal)["reason"])
    assert not client.indices.exists(index="audit")


def test_an_index_is_made_once_under_a_lawful_name(client: OpenSearch) -> None:
    """A second creation and a name with capitals are 400 with OpenSearch's names for it."""
    client.indices.create(index="audit")

    with pytest.raises(RequestError) as twice:
        client.indices.create(index="audit")
    with pytest.raises(RequestError) as capitals:
        client.indices.create(index="Audit")

    assert kind_of(twice) == "resource_already_exists_exception"
    assert kind_of(capitals) == "invalid_index_name_exception"


def test_a_field_s_type_does_not_change(client: OpenSearch) -> None:
    """A second declaration with another type is refused."""
    client.indices.create(index="audit", body={"mappings": {"properties": {"n": {"type": "long"}}}})

    with pytest.raises(RequestError) as refusal:
        client.indices.put_mapping(index="audit", body={"properties": {"n": {"type": "keyword"}}})

    assert "cannot be changed from type [long] to [keyword]" in str(error_of(refusal)["reason"])


def test_what_is_not_there_is_not_found(client: OpenSearch) -> None:
    """An unknown index is 404 index_not_found_exception; a wildcard that matches nothing is not an error."""
    with pytest.raises(NotFoundError) as missing:
        client.search(index="nowhere")

    assert missing.value.error == "index_not_found_exception"
    assert client.search(index="nowhere-*")["hits"]["total"]["value"] == 0
    assert client.search(index="nowhere", ignore_unavailable=True)["hits"]["hits"] == []


def test_an_address_that_is_not_served_says_so(url: str) -> None:
    """As OpenSearch: 400 for an unknown address, 405 for a wrong method."""
    unknown = httpx.get(f"{url}/_cat/indices")
    wrong = httpx.patch(f"{url}/audit")

    assert (unknown.status_code, unknown.json()) == (
        400,
        {"error": "no handler found for uri [/_cat/indices] and method [GET]"},
    )
    assert wrong.status_code == 405
