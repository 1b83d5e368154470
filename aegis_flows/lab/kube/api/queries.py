"""What a request asks for, read from its query, headers and body."""

import json
from collections.abc import Callable

from starlette.requests import Request

from aegis_flows.lab.kube.api import tables, watching
from aegis_flows.lab.kube.errors import bad_request, unsupported_media_type
from aegis_flows.lab.kube.objects import Object, truth
from aegis_flows.lab.kube.resources import Target
from aegis_flows.lab.kube.state import selectors
from aegis_flows.lab.kube.state.registry import Deletion

_JSON = "application/json"
_PROTOBUF = "application/vnd.kubernetes.protobuf"


def matcher(request: Request, target: Target) -> selectors.Matches:
    query = request.query_params
    return selectors.matcher(target.resource, query.get("labelSelector", ""), query.get("fieldSelector", ""))


def shower(request: Request, target: Target) -> Callable[[Object], Object]:
    """How the client wants an object shown: as itself or as a table of one row."""
    if not tables.wanted(request.headers.get("accept", "")):
        return lambda item: item
    return lambda item: tables.table(target.resource, [item], item["metadata"]["resourceVersion"])


def dry_run(request: Request) -> bool:
    return request.query_params.get("dryRun") == "All"


def number(text: str) -> int | None:
    if text and not text.isdecimal():
        raise bad_request(f"invalid number: {text!r}")
    return int(text) if text else None


def decoded(request: Request, text: bytes) -> Object:
    """The body as an object; a 415 for the protobuf that kubectl's `create <kind>` commands send."""
    media_type = request.headers.get("content-type", _JSON)
    if media_type.startswith(_PROTOBUF):
        raise unsupported_media_type(media_type, [_JSON])
    try:
        body = json.loads(text)
    except ValueError as error:
        raise bad_request(f"the object provided is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise bad_request("the object provided is not a JSON object")
    return body


def deletion(request: Request, text: bytes) -> Deletion:
    """The DeleteOptions of the body, else of the query."""
    body, query = decoded(request, text) if text else {}, request.query_params
    preconditions = body.get("preconditions") or {}
    grace = body.get("gracePeriodSeconds")
    return Deletion(
        grace=grace if isinstance(grace, int) else number(query.get("gracePeriodSeconds", "")),
        orphan=(body.get("propagationPolicy") or query.get("propagationPolicy")) == "Orphan",
        uid=preconditions.get("uid"),
        revision=preconditions.get("resourceVersion"),
        dry_run=dry_run(request) or body.get("dryRun") == ["All"],
    )


def watched(request: Request, target: Target) -> watching.Wanted:
    query = request.query_params
    return watching.Wanted(
        resource=target.resource,
        namespace=target.namespace,
        matches=matcher(request, target),
        show=shower(request, target),
        revision=str(number(query.get("resourceVersion", "")) or ""),
        initial_events=truth(query.get("sendInitialEvents")),
        bookmarks=truth(query.get("allowWatchBookmarks")),
        timeout=number(query.get("timeoutSeconds", "")) or watching.LONGEST,
    )
