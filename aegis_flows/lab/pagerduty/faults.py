"""The REST API's refusals, with PagerDuty's own codes."""

from starlette.responses import JSONResponse, PlainTextResponse, Response


class RestError(Exception):
    def __init__(self, status: int, code: int, message: str, errors: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.errors = errors

    def response(self) -> Response:
        error: dict[str, object] = {"message": self.message, "code": self.code}
        if self.errors:
            error["errors"] = self.errors
        return JSONResponse({"error": error}, status_code=self.status)


def invalid(*errors: str) -> RestError:
    return RestError(400, 2001, "Invalid Input Provided", errors)


def not_found() -> RestError:
    return RestError(404, 2100, "Not Found")


def from_missing() -> RestError:
    """Seen in quintoandar/airflow-pagerduty-plugin issue 1."""
    sentence = 'You must specify a user\'s email address in the "From" header to perform this action'
    return RestError(400, 2016, sentence)


def from_unknown() -> RestError:
    """Seen in dropbox/pygerduty pull request 64."""
    return RestError(400, 1008, "Requester User Not Found")


def drilled(status: int) -> RestError:
    if status == 429:  # noqa: PLR2004 (HTTP)
        return RestError(status, 2020, "Rate Limit Exceeded")
    return RestError(status, 2000, "Internal Error")


def unauthorized() -> Response:
    """Plain text and no JSON, as clients found (PagerDuty/go-pagerduty issues 469 and 553)."""
    return PlainTextResponse("HTTP Token: Access denied.\n", status_code=401)
