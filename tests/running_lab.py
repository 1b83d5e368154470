"""The lab, started once per session as a user starts it, and what its tests ask of it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import boto3
import httpx
import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun, State

REPOSITORY = Path(__file__).parents[1]
NAMESPACE = "aegis-staging"
UP_WITHIN = 180
R = TypeVar("R")


@dataclass(frozen=True)
class RunningLab:
    """A lab that is up; everything is asked through the doors that people and flows use."""

    folder: Path
    env: dict[str, str]
    urls: dict[str, str]

    def aegis(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The command line, as a user has it in front of this lab."""
        return subprocess.run(
            [sys.executable, "-m", "aegis_flows.cli", *words],
            cwd=REPOSITORY,
            env=self.outside(),
            capture_output=True,
            text=True,
            check=False,
        )

    def outside(self) -> dict[str, str]:
        """The environment of somebody who has set nothing but the lab's folder."""
        return shell(AEGIS_LAB_FOLDER=str(self.folder))

    def prefect(self) -> SyncPrefectClient:
        return SyncPrefectClient(self.env["PREFECT_API_URL"])

    def start(self, deployment: str, **parameters: Any) -> UUID:
        with self.prefect() as client:
            found = client.read_deployment_by_name(deployment)
            return client.create_flow_run_from_deployment(found.id, parameters=parameters).id

    def run(self, run_id: UUID) -> FlowRun:
        with self.prefect() as client:
            return client.read_flow_run(run_id)

    def state(self, run_id: UUID) -> str:
        state = self.run(run_id).state
        return (state.name or "") if state else ""

    def ended(self, run_id: UUID, within: float) -> State:
        """The final state of a run; fails when it is not final in so many seconds."""

        def final() -> State | None:
            state = self.run(run_id).state
            return state if state and state.is_final() else None

        return until(final, within)

    def tagged(self, tag: str) -> list[FlowRun]:
        with self.prefect() as client:
            return client.read_flow_runs(flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=[tag])))

    def kubernetes(self, path: str, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {(self.folder / 'secrets/kubernetes_token').read_text()}"}
        with httpx.Client(base_url=self.urls["kubernetes"], headers=headers) as http:
            if body:
                merge = headers | {"Content-Type": "application/strategic-merge-patch+json"}
                return http.patch(path, content=json.dumps(body), headers=merge).raise_for_status().json()
            answer = http.get(path)
            return answer.json() if answer.is_success else None

    def pod_env(self, name: str) -> str | None:
        deployment = self.kubernetes(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/aegis")
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        return next((e["value"] for e in container["env"] if e["name"] == name), None)

    def set_pod_env(self, name: str, value: str) -> None:
        container = {"name": "aegis", "env": [{"name": name, "value": value}]}
        spec = {"template": {"spec": {"containers": [container]}}}
        self.kubernetes(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/aegis", spec=spec)

    def open_faults(self) -> dict[str, str]:
        path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/aegis-gameday-journal"
        return (self.kubernetes(path) or {}).get("data") or {}

    def aws(self) -> boto3.Session:
        """As the lab's administrator."""
        os.environ["AWS_CONFIG_FILE"] = str(self.folder / "aws/admin.config")
        return boto3.Session(profile_name="admin")

    @contextmanager
    def nobody_on_call(self) -> Iterator[None]:
        self.aegis("lab", "responder", "off")
        try:
            yield
        finally:
            self.aegis("lab", "responder", "on")

    def calm(self) -> None:
        """Wait until nothing fires and no incident is open, so that one test does not disturb the next."""
        alerts = f"{self.urls['alertmanager']}/api/v2/alerts"
        token = {"Authorization": f"Token token={self.env['AEGIS_PAGERDUTY_TOKEN']}"}
        incidents = f"{self.urls['pagerduty']}/incidents?statuses[]=triggered&statuses[]=acknowledged"

        def quiet() -> bool:
            firing = [a for a in httpx.get(alerts).json() if a["labels"]["severity"] == "critical"]
            return not firing and not httpx.get(incidents, headers=token).json()["incidents"]

        until(quiet, 120)


def shell(**more: str) -> dict[str, str]:
    """The environment of a shell in which nothing of ours is set but this."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AEGIS_", "AWS_", "PREFECT_"))}
    return inherited | more


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """A lab of the session's own, beside any other that runs."""
    with started_lab(tmp_path_factory.mktemp("lab") / "state") as one:
        yield one


@contextmanager
def started_lab(folder: Path) -> Iterator[RunningLab]:
    log = folder.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "aegis_flows.cli", "lab", "up"],
            cwd=REPOSITORY,
            env=shell(AEGIS_LAB_FOLDER=str(folder)),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        told = until(lambda: _told(folder, process, log), UP_WITHIN)
        env = dict(line.split("=", 1) for line in (folder / "env").read_text().splitlines())
        yield RunningLab(folder, env, told["urls"])
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()


def _told(folder: Path, process: "subprocess.Popen[bytes]", log: Path) -> dict[str, Any] | None:
    assert process.poll() is None, log.read_text()
    try:
        told: dict[str, Any] = json.loads((folder / "lab.json").read_text())
    except FileNotFoundError:
        return None
    return told if told["state"] == "up" else None


def until(ask: Callable[[], R | None], seconds: float) -> R:
    """The first answer that is true; fails after so many seconds with the last one."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"not within {seconds} s; the last answer was {answer!r}"
        time.sleep(0.3)
    return answer
