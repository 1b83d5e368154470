"""Which failures pass by themselves: no answer at all, or a server that says it is not itself just now."""

from http import HTTPStatus

NO_ANSWER = {
    "ConnectionError",  # botocore's and requests'
    "HTTPClientError",  # botocore: refused, timed out, reset
    "HTTPError",  # urllib3's family, which the Kubernetes client lets through
    "TransportError",  # httpx
}
THROTTLED = {"Throttling", "ThrottlingException", "RequestLimitExceeded", "SlowDown", "ServiceUnavailable"}


def passes(error: object) -> bool:
    """Whether the same request may well succeed a moment later; unknown means no."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore's ClientError
        code = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return _busy(code) or response.get("Error", {}).get("Code") in THROTTLED
    code = getattr(error, "status", None) or getattr(response, "status_code", None)
    if isinstance(code, int):
        return _busy(code)
    return isinstance(error, OSError) or bool({k.__name__ for k in type(error).__mro__} & NO_ANSWER)


def _busy(code: object) -> bool:
    return isinstance(code, int) and (code == HTTPStatus.TOO_MANY_REQUESTS or code >= HTTPStatus.INTERNAL_SERVER_ERROR)
