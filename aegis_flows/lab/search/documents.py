"""Documents, one by one and in bulk."""

import json
import secrets
from collections.abc import Iterator

from starlette.responses import JSONResponse, Response

from aegis_flows.lab.search.call import Call
from aegis_flows.lab.search.errors import SearchError, illegal, invalid_request
from aegis_flows.lab.search.store import Cluster, Document
from aegis_flows.lab.search.values import JsonObject

ACTIONS = ("create", "delete", "index")
SHARDS = {"total": 1, "successful": 1, "failed": 0}


def put(call: Call) -> Response:
    """`_create` and `op_type=create` refuse an id that is there; without an id one is made up."""
    params = call.parameters("refresh", "op_type")
    create = "/_create/" in call.request.url.path or params.get("op_type") == "create"
    name, document_id = call.path("index"), call.path("id") or _new_id()
    return _answer(_write(call.state.cluster, name, document_id, call.json(), create=create))


def get(call: Call) -> Response:
    call.parameters("refresh", "realtime")
    name, document_id = call.path("index"), call.path("id")
    document = call.state.cluster.get(name).documents.get(document_id)
    if document is None:
        return JSONResponse({"_index": name, "_id": document_id, "found": False}, status_code=404)
    versions = {"_version": document.version, "_seq_no": document.seq_no, "_primary_term": 1}
    return JSONResponse({"_index": name, "_id": document_id, **versions, "found": True, "_source": document.source})


def delete(call: Call) -> Response:
    call.parameters("refresh")
    return _answer(_remove(call.state.cluster, call.path("index"), call.path("id")))


def bulk(call: Call) -> Response:
    """Each action has its own result; one that is refused does not stop the others."""
    call.parameters("refresh")
    if not call.body.endswith(b"\n"):
        raise illegal("The bulk request must be terminated by a newline [\\n]")
    items = [{action: item} for action, item in _items(call)]
    errors = any("error" in item for entry in items for item in entry.values())
    return JSONResponse({"took": 0, "errors": errors, "items": items})


def _items(call: Call) -> Iterator[tuple[str, JsonObject]]:
    lines = iter(enumerate(call.body.splitlines(), start=1))
    operations = [_operation(number, line, lines, call.path("index")) for number, line in lines if line.strip()]
    for action, target, source in operations:
        yield action, _item(call.state.cluster, action, target, source)


def _operation(
    number: int, line: bytes, lines: Iterator[tuple[int, bytes]], otherwise: str
) -> tuple[str, JsonObject, JsonObject]:
    """Action, its target, and the document, which is empty for a deletion. A malformed line refuses the whole bulk."""
    action, target = next(iter(_line(number, line).items()), ("", {}))
    if action not in ACTIONS or not isinstance(target, dict):
        expected = ", ".join(ACTIONS)
        raise illegal(f"Malformed action/metadata line [{number}], expected one of [{expected}] but found [{action}]")
    if unknown := sorted(target.keys() - {"_index", "_id"}):
        raise illegal(f"Action/metadata line [{number}] contains an unknown parameter [{unknown[0]}]")
    named = {"_index": otherwise, **{key: str(value) for key, value in target.items()}}
    if not named["_index"]:
        raise invalid_request("index is missing")
    if action == "delete":
        return action, named, {}
    after, document = next(lines, (number, b""))
    return action, named, _line(after, document)


def _item(cluster: Cluster, action: str, target: JsonObject, source: JsonObject) -> JsonObject:
    name, document_id = target["_index"], target.get("_id") or _new_id()
    try:
        if action == "delete":
            return _remove(cluster, name, document_id)
        return _write(cluster, name, document_id, source, create=action == "create")
    except SearchError as error:
        return {"_index": name, "_id": document_id, "status": error.status, "error": error.cause}


def _write(cluster: Cluster, name: str, document_id: str, source: JsonObject, *, create: bool) -> JsonObject:
    document = cluster.for_writing(name).put(document_id, source, create=create)
    first = document.version == 1
    return {**_written(document), "result": "created" if first else "updated", "status": 201 if first else 200}


def _remove(cluster: Cluster, name: str, document_id: str) -> JsonObject:
    document, seq_no = cluster.get(name).remove(document_id)
    common = {"_index": name, "_id": document_id, "_shards": SHARDS, "_seq_no": seq_no, "_primary_term": 1}
    if document is None:
        return {**common, "_version": 1, "result": "not_found", "status": 404}
    return {**common, "_version": document.version + 1, "result": "deleted", "status": 200}


def _written(document: Document) -> JsonObject:
    where = {"_index": document.index, "_id": document.id, "_version": document.version}
    return {**where, "_shards": SHARDS, "_seq_no": document.seq_no, "_primary_term": 1}


def _answer(item: JsonObject) -> Response:
    return JSONResponse({key: value for key, value in item.items() if key != "status"}, status_code=item["status"])


def _line(number: int, line: bytes) -> JsonObject:
    try:
        parsed = json.loads(line)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise illegal(f"Malformed action/metadata line [{number}], expected START_OBJECT")
    return parsed


def _new_id() -> str:
    return secrets.token_urlsafe(15)
