import httpx
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from kubernetes.client import ApiException

from aegis_flows.errors import Conflict
from aegis_flows.passing import passes

REQUEST = httpx.Request("GET", "http://there/")


def client_error(status: int, code: str) -> ClientError:
    answer = {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "PutRolePolicy")  # type: ignore[arg-type]  # the parts that count


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("refused"),
        httpx.HTTPStatusError("busy", request=REQUEST, response=httpx.Response(503)),
        ApiException(status=429),
        client_error(503, "ServiceUnavailable"),
        client_error(400, "Throttling"),
        EndpointConnectionError(endpoint_url="http://there/"),
        ConnectionResetError(),
    ],
)
def test_what_passes_is_tried_again(error: Exception) -> None:
    """No answer, busy, throttled."""
    assert passes(error)


@pytest.mark.parametrize(
    "error",
    [
        httpx.HTTPStatusError("no", request=REQUEST, response=httpx.Response(404)),
        ApiException(status=409),
        client_error(403, "AccessDenied"),
        NoCredentialsError(),
        Conflict("somebody was here"),
        ValueError("ours"),
    ],
)
def test_what_stays_is_not_tried_again(error: Exception) -> None:
    """A refusal is an answer; unknown means no."""
    assert not passes(error)
