"""Searches, counts, and points in time."""

import time
from datetime import UTC, datetime

from starlette.responses import JSONResponse, Response

from aegis_flows.lab.search import dates, query, searching
from aegis_flows.lab.search.call import Call
from aegis_flows.lab.search.errors import illegal, invalid_request, parsing
from aegis_flows.lab.search.store import View
from aegis_flows.lab.search.values import JsonObject

NUMBERS = frozenset({"size", "from"})
SOURCES = {"_source_includes": "includes", "_source_excludes": "excludes"}
PARAMETERS = ("ignore_unavailable", "allow_no_indices", "sort", "track_total_hits", "_source", *NUMBERS, *SOURCES)


def search(call: Call) -> Response:
    started = time.perf_counter()
    body = {**call.json(), **_from_parameters(call.parameters(*PARAMETERS))}
    wanted = searching.parse(body, datetime.now(UTC))
    answer = wanted.answer(_views(call, body.get("pit")))
    if pit := body.get("pit"):
        answer["pit_id"] = pit["id"]
    return JSONResponse({"took": round((time.perf_counter() - started) * 1000), **answer})


def count(call: Call) -> Response:
    call.parameters("ignore_unavailable", "allow_no_indices")
    body = call.json()
    if unknown := sorted(body.keys() - {"query"}):
        raise parsing(f"request does not support [{unknown[0]}]")
    wanted = query.parse(body.get("query", {"match_all": {}}), datetime.now(UTC))
    found = searching.matching(wanted, [index.view() for index in call.indices()])
    return JSONResponse({"count": len(found), "_shards": searching.SHARDS})


def create_point(call: Call) -> Response:
    keep_alive = call.parameters("keep_alive", "ignore_unavailable", "allow_partial_pit_creation").get("keep_alive")
    if keep_alive is None:
        raise invalid_request("keep alive not specified")
    point = call.state.points.create([index.view() for index in call.indices()], _millis(keep_alive))
    return JSONResponse({**point, "_shards": searching.SHARDS})


def delete_points(call: Call) -> Response:
    call.parameters()
    given = call.json().get("pit_id", [])
    keys = given if isinstance(given, list) else [given]
    return JSONResponse({"pits": call.state.points.delete([str(key) for key in keys])})


def delete_all_points(call: Call) -> Response:
    call.parameters()
    return JSONResponse({"pits": call.state.points.delete(list(call.state.points.living()))})


def list_points(call: Call) -> Response:
    call.parameters()
    points = [
        {"pit_id": key, "creation_time": point.created, "keep_alive": point.keep_alive}
        for key, point in call.state.points.living().items()
    ]
    return JSONResponse({"pits": points})


def _views(call: Call, pit: object) -> list[View]:
    if pit is None:
        return [index.view() for index in call.indices()]
    if call.path("index"):
        raise invalid_request("[indices] cannot be used with point in time. Do not specify any index with it.")
    if not isinstance(pit, dict) or "id" not in pit or pit.keys() - {"id", "keep_alive"}:
        raise parsing("[pit] takes an [id] and a [keep_alive]")
    keep_alive = pit.get("keep_alive")
    return call.state.points.views(str(pit["id"]), _millis(keep_alive) if keep_alive else None)


def _from_parameters(params: dict[str, str]) -> JsonObject:
    """What the address says, in the body's form: it wins over the body."""
    body: JsonObject = {name: _whole(name, params[name]) for name in NUMBERS & params.keys()}
    if "sort" in params:
        pairs = (one.partition(":") for one in params["sort"].split(","))
        body["sort"] = [{field: direction or "asc"} for field, _, direction in pairs]
    if "track_total_hits" in params:
        body["track_total_hits"] = _boolean_or_text(params["track_total_hits"], numbers=True)
    if "_source" in params:
        body["_source"] = _boolean_or_text(params["_source"])
    if sources := {key: params[name].split(",") for name, key in SOURCES.items() if name in params}:
        body["_source"] = sources
    return body


def _boolean_or_text(text: str, *, numbers: bool = False) -> object:
    if text in {"true", "false"}:
        return text == "true"
    return _whole("track_total_hits", text) if numbers else text.split(",")


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise illegal(f"Failed to parse int parameter [{name}] with value [{text}]") from None


def _millis(text: object) -> int:
    try:
        return dates.duration(text)
    except ValueError as error:
        raise illegal(str(error)) from None
