"""The stand-in's addresses."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from aegis_flows.lab.search import documents, indices, searches
from aegis_flows.lab.search.call import Call, Handler, State, route
from aegis_flows.lab.search.points_in_time import PointsInTime
from aegis_flows.lab.search.store import Cluster

VERSION = "3.3.0"
"""The OpenSearch whose answers this stand-in gives."""

ROUTES: tuple[tuple[str, Handler, tuple[str, ...]], ...] = (
    ("/_bulk", documents.bulk, ("POST", "PUT")),
    ("/{index}/_bulk", documents.bulk, ("POST", "PUT")),
    ("/_search/point_in_time/_all", searches.list_points, ("GET",)),
    ("/_search/point_in_time/_all", searches.delete_all_points, ("DELETE",)),
    ("/_search/point_in_time", searches.delete_points, ("DELETE",)),
    ("/{index}/_search/point_in_time", searches.create_point, ("POST",)),
    ("/_search", searches.search, ("GET", "POST")),
    ("/{index}/_search", searches.search, ("GET", "POST")),
    ("/_count", searches.count, ("GET", "POST")),
    ("/{index}/_count", searches.count, ("GET", "POST")),
    ("/_refresh", indices.refresh, ("GET", "POST")),
    ("/{index}/_refresh", indices.refresh, ("GET", "POST")),
    ("/_mapping", indices.show_mapping, ("GET",)),
    ("/{index}/_mapping", indices.show_mapping, ("GET",)),
    ("/{index}/_mapping", indices.put_mapping, ("PUT", "POST")),
    ("/{index}/_doc", documents.put, ("POST",)),
    ("/{index}/_create/{id:path}", documents.put, ("PUT", "POST")),
    ("/{index}/_doc/{id:path}", documents.put, ("PUT", "POST")),
    ("/{index}/_doc/{id:path}", documents.get, ("GET",)),
    ("/{index}/_doc/{id:path}", documents.delete, ("DELETE",)),
    ("/{index}", indices.create, ("PUT",)),
    ("/{index}", indices.show, ("GET",)),
    ("/{index}", indices.delete, ("DELETE",)),
)


def app() -> Starlette:
    state = State(Cluster(), PointsInTime())
    routes: list[Route] = [route("/", info, "GET", state=state)]
    routes += [route(path, handler, *methods, state=state) for path, handler, methods in ROUTES]
    return Starlette(routes=routes, exception_handlers={404: _no_handler, 405: _wrong_method})


def info(call: Call) -> Response:
    version = {
        "distribution": "opensearch",
        "number": VERSION,
        "build_type": "stand-in",
        "minimum_wire_compatibility_version": "2.19.0",
        "minimum_index_compatibility_version": "2.0.0",
    }
    return JSONResponse(
        {
            "name": "lab",
            "cluster_name": "aegis-lab",
            "cluster_uuid": call.state.cluster.uuid,
            "version": version,
            "tagline": "The OpenSearch Project: https://opensearch.org/",
        }
    )


async def _no_handler(request: Request, _: Exception) -> Response:
    text = f"no handler found for uri [{request.url.path}] and method [{request.method}]"
    return JSONResponse({"error": text}, status_code=400)


async def _wrong_method(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # what Starlette calls a handler of status 405 with
    text = f"Incorrect HTTP method for uri [{request.url.path}] and method [{request.method}]"
    return JSONResponse({"error": text, "status": 405}, status_code=405, headers=error.headers)
