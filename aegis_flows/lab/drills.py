"""Failures on demand: `POST /lab/fail` makes a stub's next answers fail, so that retries can be drilled."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Drill:
    """The next `count` requests whose path starts with `path` are answered with `status`; a count of 0 ends it."""

    status: int = 503
    count: int = 1
    retry_after: int = 1
    """Seconds; sent with 429 and 503."""
    path: str = "/"

    def __post_init__(self) -> None:
        numbers = (self.status, self.count, self.retry_after)
        if not all(type(number) is int for number in numbers) or not isinstance(self.path, str):
            raise TypeError("status, count and retry_after are whole numbers, path is text")
        if not (400 <= self.status <= 599 and self.count >= 0 and self.retry_after >= 0):  # noqa: PLR2004 (HTTP)
            raise ValueError("status is 400 to 599; count and retry_after are not negative")

    def covers(self, path: str) -> bool:
        return self.count > 0 and path.startswith(self.path)


class FailOnDemand:
    """Wraps a stub. Only the vendor's own paths fail: the page, the health check and `/lab/` go on working."""

    def __init__(self, app: ASGIApp, vendor_paths: tuple[str, ...], answer: Callable[[int], Response]) -> None:
        self.app = app
        self.vendor_paths = vendor_paths
        self.answer = answer
        self.drill = Drill(count=0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path == "/lab/fail":
            response = await self._order(Request(scope, receive))
        elif path.startswith(self.vendor_paths) and self.drill.covers(path):
            response = self._fail()
        else:
            return await self.app(scope, receive, send)
        return await response(scope, receive, send)

    async def _order(self, request: Request) -> Response:
        if request.method == "POST":
            try:
                self.drill = Drill(**await request.json())
            except (TypeError, ValueError) as error:  # a JSONDecodeError is a ValueError
                return PlainTextResponse(f"not a drill: {error}\n", status_code=400)
        return JSONResponse(asdict(self.drill))

    def _fail(self) -> Response:
        self.drill = replace(self.drill, count=self.drill.count - 1)
        response = self.answer(self.drill.status)
        if self.drill.status in {429, 503}:
            response.headers["Retry-After"] = str(self.drill.retry_after)
        return response
