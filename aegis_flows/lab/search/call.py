"""How the stand-in is called: its state, and a request whose parameters and body are checked, never passed over."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aegis_flows.lab.search.errors import SearchError, illegal
from aegis_flows.lab.search.points_in_time import PointsInTime
from aegis_flows.lab.search.store import Cluster, Index
from aegis_flows.lab.search.values import JsonObject

HARMLESS = frozenset({"pretty", "human", "error_trace", "timeout", "cluster_manager_timeout", "master_timeout"})
"""Parameters that change nothing of an answer's meaning."""


@dataclass(frozen=True, slots=True)
class State:
    cluster: Cluster
    points: PointsInTime


@dataclass(frozen=True, slots=True)
class Call:
    state: State
    request: Request
    body: bytes

    def path(self, name: str, otherwise: str = "") -> str:
        return str(self.request.path_params.get(name, otherwise))

    def parameters(self, *known: str) -> dict[str, str]:
        params = self.request.query_params
        if unknown := sorted(params.keys() - HARMLESS - set(known)):
            raise illegal(f"request [{self.request.url.path}] contains unrecognized parameter: [{unknown[0]}]")
        return dict(params)

    def json(self) -> JsonObject:
        """An object; an empty body is an empty one."""
        try:
            parsed = json.loads(self.body or b"{}")
        except ValueError as error:
            raise SearchError(400, "json_parse_exception", str(error)) from None
        if not isinstance(parsed, dict):
            raise SearchError(400, "parsing_exception", "Expected [START_OBJECT]", line=1, col=1)
        return parsed

    def indices(self) -> list[Index]:
        """Those that the path names, or all."""
        ignore = self.request.query_params.get("ignore_unavailable") == "true"
        return self.state.cluster.resolve(self.path("index", "_all"), ignore_unavailable=ignore)


Handler = Callable[[Call], Response]


def route(path: str, handler: Handler, *methods: str, state: State) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            return handler(Call(state, request, await request.body()))
        except SearchError as error:
            return error.response()

    return Route(path, endpoint, methods=list(methods))
