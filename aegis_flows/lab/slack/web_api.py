"""How the Web API is called: token, arguments, and refusals, which are 200 with `ok: false`, as Slack's are."""

import hmac
import json
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from aegis_flows.lab.slack.content import Refused
from aegis_flows.lab.slack.methods import METHODS, Call
from aegis_flows.lab.slack.workspace import JsonObject, Workspace


async def answer(request: Request, workspace: Workspace, token: str) -> Response:
    try:
        args = await _arguments(request)
        _check_token(request, args, token)
        name = request.path_params["method"]
        method = METHODS.get(name)
        if method is None:
            return JSONResponse({"ok": False, "error": "unknown_method", "req_method": name})
        return JSONResponse({"ok": True, **method(Call(workspace, args, str(request.base_url)))})
    except Refused as refusal:
        return JSONResponse(_refusal_body(refusal))


def _refusal_body(refusal: Refused) -> JsonObject:
    body: JsonObject = {"ok": False, "error": refusal.code}
    if refusal.faults:
        body["errors"] = list(refusal.faults)
        body["response_metadata"] = {"messages": [f"[ERROR] {fault}" for fault in refusal.faults]}
    return body


async def _arguments(request: Request) -> JsonObject:
    """From the query, and from the body as JSON or as a form; in a form, blocks and attachments are JSON inside."""
    raw = await request.body()
    if request.headers.get("content-type", "").startswith("application/json"):
        return {**request.query_params, **_json_object(raw)}
    args: JsonObject = {**request.query_params, **dict(parse_qsl(raw.decode(errors="replace"), keep_blank_values=True))}
    for key in {"blocks", "attachments"} & args.keys():
        try:
            args[key] = json.loads(args[key])
        except ValueError:
            raise Refused(f"invalid_{key}_format") from None
    return args


def _check_token(request: Request, args: JsonObject, token: str) -> None:
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    given = bearer or str(args.get("token", ""))
    if not given:
        raise Refused("not_authed")
    if not hmac.compare_digest(given.encode(), token.encode()):
        raise Refused("invalid_auth")


def _json_object(raw: bytes) -> JsonObject:
    try:
        parsed = json.loads(raw or b"{}")
    except ValueError:
        raise Refused("invalid_json") from None
    if not isinstance(parsed, dict):
        raise Refused("json_not_object")
    return parsed
