import shutil
import uuid
from collections.abc import Iterator

import pytest

from tests.lab.kube import standin
from tests.lab.kube.standin import StandIn


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """One stand-in for all tests that do not end it."""
    with standin.running(tmp_path_factory.mktemp("kube")) as started:
        yield started


@pytest.fixture
def space(cluster: StandIn) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.core.create_namespace({"metadata": {"name": name}})
    yield name
    cluster.core.delete_namespace(name)


@pytest.fixture
def kubectl() -> None:
    """Skips where kubectl is not installed."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on PATH")
