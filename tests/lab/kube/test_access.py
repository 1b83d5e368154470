"""The token, and the kubeconfig that carries it."""

import base64
import http.client
import stat

import pytest

from tests.lab.kube.standin import TOKEN, StandIn

BASIC = base64.b64encode(f"anybody:{TOKEN}".encode()).decode()


def status(cluster: StandIn, path: str, authorization: str = "") -> int:
    connection = http.client.HTTPConnection(cluster.url.removeprefix("http://"), timeout=5)
    connection.request("GET", path, headers={"Authorization": authorization} if authorization else {})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


@pytest.mark.parametrize("wrong", ["", "Bearer wrong", "Bearer", "Basic !", f"Digest {TOKEN}", "Bearer \u00e9"])
def test_without_the_token_there_is_a_401(cluster: StandIn, wrong: str) -> None:
    """No header, another token or another scheme: nothing is told."""
    assert status(cluster, "/api/v1/namespaces", wrong) == 401


@pytest.mark.parametrize("right", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"Basic {BASIC}"])
def test_the_token_opens(cluster: StandIn, right: str) -> None:
    """As a bearer token, or as the password that a URL with credentials sends."""
    assert status(cluster, "/api/v1/namespaces", right) == 200


@pytest.mark.parametrize("path", ["/readyz", "/livez", "/healthz", "/version"])
def test_health_and_version_need_no_token(cluster: StandIn, path: str) -> None:
    """A supervisor asks for health before it knows the token."""
    assert status(cluster, path) == 200


def test_the_kubeconfig_is_for_its_owner_alone(cluster: StandIn) -> None:
    """It holds the token."""
    assert stat.S_IMODE(cluster.kubeconfig.stat().st_mode) == 0o600


def test_the_python_client_comes_in_with_it(cluster: StandIn) -> None:
    """It sends the user's token."""
    assert "default" in [item.metadata.name for item in cluster.core.list_namespace().items]


@pytest.mark.usefixtures("kubectl")
def test_kubectl_comes_in_with_it(cluster: StandIn) -> None:
    """Kubectl sends no user's token over http, but the credentials of the server's URL."""
    assert "namespace/default" in cluster.kubectl("get", "namespaces", "-o", "name")
