import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from uuid import uuid4

import httpx
import pytest
import uvicorn
from prefect.client.orchestration import PrefectClient, SyncPrefectClient
from prefect.utilities.callables import parameter_schema

from aegis_flows.domain import Incident, deployment_name
from aegis_flows.gateway.app import create_app

TOKEN = "the-gateway's token"
PLAYBOOKS = ("AegisAuditWriteFailures", "AegisModelNotLoaded")

Gateways = Callable[[str], AbstractContextManager[httpx.Client]]
Deploy = Callable[[str, Callable[..., None]], None]


def playbook(incident: Incident) -> None:
    """What a playbook takes."""


@pytest.fixture(scope="session")
def prefect(prefect_api: str) -> Iterator[SyncPrefectClient]:
    """Client of the real server, with the playbooks' deployments in place."""
    with SyncPrefectClient(prefect_api) as client:
        for name in PLAYBOOKS:
            _deploy(client, name, playbook)
        yield client


@pytest.fixture(scope="session")
def deploy(prefect: SyncPrefectClient) -> Deploy:
    """Deploys a playbook for an alert name, with the parameters of a function."""
    return partial(_deploy, prefect)


@pytest.fixture(scope="session")
def gateways() -> Gateways:
    """Starts further gateways, each in front of the Prefect API at a URL."""
    return serving


@pytest.fixture(scope="session")
def gateway(prefect: SyncPrefectClient) -> Iterator[httpx.Client]:
    """Client of a gateway that serves on a socket, with the right token."""
    with serving(str(prefect.api_url)) as client:
        yield client


@pytest.fixture
def group() -> str:
    """A groupKey that no other test uses."""
    return f'{{}}/{{severity="critical"}}:{{environment="{uuid4().hex}"}}'


@contextmanager
def serving(api_url: str) -> Iterator[httpx.Client]:
    """A gateway in front of the Prefect API at `api_url`."""
    listening = _listening()
    app = create_app(TOKEN, connect=lambda: PrefectClient(api_url))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def _listening() -> socket.socket:
    """A TCP socket that says so: asyncio switches Nagle's 40 ms off only where the protocol is named."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    return listening


def _deploy(client: SyncPrefectClient, alertname: str, function: Callable[..., None]) -> None:
    client.create_deployment(
        client.create_flow_from_name(alertname),
        deployment_name(alertname),
        parameter_openapi_schema=parameter_schema(function).model_dump(),
        enforce_parameter_schema=True,
    )
