"""Indices: made, shown, deleted."""

from starlette.responses import JSONResponse, Response

from aegis_flows.lab.search.call import Call
from aegis_flows.lab.search.errors import parsing
from aegis_flows.lab.search.mapping import merged
from aegis_flows.lab.search.store import Index
from aegis_flows.lab.search.values import JsonObject

SHARDS = {"total": 1, "successful": 1, "failed": 0}


def create(call: Call) -> Response:
    call.parameters("wait_for_active_shards")
    body = call.json()
    if unknown := sorted(body.keys() - {"mappings", "settings"}):
        raise parsing(f"unknown key [{unknown[0]}] for create index")
    if wrong := [key for key, value in body.items() if not isinstance(value, dict)]:
        raise parsing(f"key [{wrong[0]}] must be an object")
    index = call.state.cluster.create(call.path("index"), body.get("mappings", {}), body.get("settings", {}))
    return JSONResponse({"acknowledged": True, "shards_acknowledged": True, "index": index.name})


def show(call: Call) -> Response:
    call.parameters("ignore_unavailable")
    shown = {
        index.name: {"aliases": {}, "mappings": index.mapping.source, "settings": {"index": _settings(index)}}
        for index in call.indices()
    }
    return JSONResponse(shown)


def delete(call: Call) -> Response:
    call.parameters("ignore_unavailable")
    for index in call.indices():
        del call.state.cluster.indices[index.name]
    return JSONResponse({"acknowledged": True})


def show_mapping(call: Call) -> Response:
    call.parameters("ignore_unavailable")
    return JSONResponse({index.name: {"mappings": index.mapping.source} for index in call.indices()})


def put_mapping(call: Call) -> Response:
    call.parameters("ignore_unavailable")
    for index in call.indices():
        index.mapping = merged(index.mapping, call.json())
    return JSONResponse({"acknowledged": True})


def refresh(call: Call) -> Response:
    """Nothing to do: documents can be searched at once."""
    call.parameters("ignore_unavailable")
    call.indices()
    return JSONResponse({"_shards": SHARDS})


def _settings(index: Index) -> JsonObject:
    given = {key.removeprefix("index."): value for key, value in index.settings.items() if key != "index"}
    return {
        "number_of_shards": "1",
        "number_of_replicas": "0",
        **given,
        **index.settings.get("index", {}),
        "creation_date": str(index.created),
        "uuid": index.uuid,
        "provided_name": index.name,
    }
