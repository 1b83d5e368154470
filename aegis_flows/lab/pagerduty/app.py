"""The stub's addresses. In the real service, events and the REST API live on two hosts; here they share one."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from aegis_flows.lab.drills import FailOnDemand
from aegis_flows.lab.pagerduty import events, rest
from aegis_flows.lab.pagerduty.account import Account, Service, User
from aegis_flows.lab.pagerduty.faults import drilled, not_found
from aegis_flows.lab.pagerduty.page import Page

VENDOR_PATHS = ("/v2/", "/incidents", "/users", "/oncalls", "/services")


def app(users: tuple[User, ...], services: tuple[Service, ...], token: str) -> FailOnDemand:
    account = Account(users, services)
    page = Page(account)

    async def enqueue(request: Request) -> Response:
        return await events.enqueue(request, account)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    routes = [
        Route("/v2/enqueue", enqueue, methods=["POST"]),
        *rest.routes(account, token),
        Route("/", page.show),
        Route("/press", page.press, methods=["POST"]),
        Route("/health", health),
    ]
    return FailOnDemand(Starlette(routes=routes, exception_handlers={404: _not_found}), VENDOR_PATHS, _failure)


async def _not_found(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # what Starlette calls a handler of status 404 with
    return not_found().response()


def _failure(status: int) -> Response:
    return drilled(status).response()
