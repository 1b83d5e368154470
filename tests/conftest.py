from pathlib import Path

import pytest

from aegis_flows.lab import debian

pytest_plugins = ["tests.prefect_server", "tests.running_lab", "tests.lab.aws_account"]


@pytest.fixture(scope="session")
def binaries() -> debian.Binaries:
    """Prometheus, Alertmanager, PostgreSQL and their tools, kept in the repository's `.cache`."""
    return debian.ensure(Path(__file__).parents[1] / ".cache")
