import os
import signal
from pathlib import Path

import hypothesis
import pytest

from aegis_flows.lab import debian

# The same examples in every run, so that a red run means a change; HYPOTHESIS_PROFILE=explore looks for new ones.
hypothesis.settings.register_profile("repeat", derandomize=True, deadline=None)
hypothesis.settings.register_profile("explore", max_examples=2000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeat"))

# A script's background job ignores SIGINT, and so would every process that a test starts and means to interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["tests.prefect_server", "tests.running_lab", "tests.lab.aws_account"]


@pytest.fixture(scope="session")
def binaries() -> debian.Binaries:
    """Prometheus, Alertmanager, PostgreSQL and their tools, kept in the repository's `.cache`."""
    return debian.ensure(Path(__file__).parents[1] / ".cache")
