"""A running aws part with its identities, and lab processes in general, for the tests that need them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import botocore.session
import pytest

from aegis_flows.lab import identities
from aegis_flows.lab.identities import Identities
from tests.lab.processes import answers, free_port, wait_until


@dataclass(frozen=True)
class Account:
    url: str
    identities: Identities

    @property
    def service(self) -> boto3.Session:
        """As the pods: the role aegis-audit."""
        return _session(self.identities.aegis_config, self.identities.aegis_profile)

    @property
    def flows(self) -> boto3.Session:
        return _session(self.identities.flows_config, self.identities.flows_profile)

    @property
    def admin(self) -> boto3.Session:
        return _session(self.identities.admin_config, self.identities.admin_profile)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    folder = tmp_path_factory.mktemp("aws")
    port = free_port()
    with process("aegis_flows.lab.aws", "--port", str(port), log=folder / "log"):
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{url}/moto-api/"))
        yield Account(url, identities.seed(url, folder))


@contextmanager
def process(
    module: str, *arguments: str, log: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A part of the lab, stopped at the end unless it has ended; `log` gets all that it prints."""
    with log.open("wb") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdout=output, stderr=subprocess.STDOUT, env=env or os.environ
        )
    try:
        yield started
    finally:
        if started.poll() is None:
            started.send_signal(signal.SIGTERM)
        started.wait(timeout=10)


def _session(config: Path, profile: str) -> boto3.Session:
    core = botocore.session.Session(profile=profile)
    core.set_config_variable("config_file", str(config))
    return boto3.Session(botocore_session=core)
