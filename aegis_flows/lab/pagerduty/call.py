"""How the REST API is called: with the token, and to change something, with a known user in `From`."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from aegis_flows.lab.pagerduty.account import Account, Incident, JsonObject, User
from aegis_flows.lab.pagerduty.faults import RestError, from_missing, from_unknown, invalid, not_found, unauthorized
from aegis_flows.lab.pagerduty.wire import Wire


@dataclass(frozen=True, slots=True)
class Call:
    account: Account
    request: Request
    body: JsonObject

    @property
    def wire(self) -> Wire:
        return Wire(str(self.request.base_url).rstrip("/"))

    def incident(self) -> Incident:
        try:
            return self.account.incidents[self.request.path_params["id"]]
        except KeyError:
            raise not_found() from None

    def requester(self) -> User:
        email = self.request.headers.get("from")
        if not email:
            raise from_missing()
        user = self.account.user(email)
        if user is None:
            raise from_unknown()
        return user

    def part(self, name: str, allowed: frozenset[str]) -> JsonObject:
        """The object that the body holds under `name`; a field that this stub would ignore is refused."""
        part = self.body.get(name)
        if not isinstance(part, dict):
            raise invalid(f"{name.capitalize()} must be an object.")
        if unknown := sorted(part.keys() - allowed):
            raise invalid(*(f"{field} is not supported by this stub." for field in unknown))
        return part


Handler = Callable[[Call], JsonObject]


async def answer(request: Request, account: Account, token: str, handler: Handler) -> Response:
    given = request.headers.get("authorization", "")
    if not hmac.compare_digest(given.encode(), f"Token token={token}".encode()):
        return unauthorized()
    try:
        return JSONResponse(handler(Call(account, request, await _body(request))))
    except RestError as error:
        return error.response()


async def _body(request: Request) -> JsonObject:
    if request.method == "GET":
        return {}
    try:
        body = await request.json()
    except ValueError:
        raise invalid("The body is not JSON.") from None
    if not isinstance(body, dict):
        raise invalid("The body must be an object.")
    return body
