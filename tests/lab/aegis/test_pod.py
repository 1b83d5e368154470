"""The pod as the kubelet runs it: a process with an environment, a port and signals."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from aegis_flows.lab import models, traffic
from tests.lab import aws_account
from tests.lab.aws_account import Account, process
from tests.lab.processes import answers, free_port, wait_until

account = aws_account.account  # the fixture

PRIVATE = f"Mail it to jane.{traffic.CANARY}@example.com"


@dataclass(frozen=True)
class Pod:
    url: str
    log: Path
    pid: int

    def infer(self, prompt: str) -> httpx.Response:
        return httpx.post(f"{self.url}/infer", json={"prompt": prompt}, trust_env=False)

    def printed(self) -> str:
        return self.log.read_text()


@pytest.fixture
def environ(account: Account, tmp_path: Path) -> dict[str, str]:
    signed = models.sign_models(tmp_path / "models")
    names = account.identities
    return {
        "PATH": os.environ["PATH"],
        "PORT": str(free_port()),
        "POD_NAME": "aegis-7f9c-abcde",
        "POD_NAMESPACE": "aegis-staging",
        "AUDIT_S3_BUCKET": names.bucket,
        "AUDIT_KMS_KEY_ID": names.key_id,
        "AUDIT_FALLBACK_ENABLED": "false",
        "AUDIT_FALLBACK_DIR": str(tmp_path / "buffer"),
        "AWS_ENDPOINT_URL": account.url,
        "AWS_REGION": names.region,
        "AWS_CONFIG_FILE": str(names.aegis_config),
        "AWS_PROFILE": names.aegis_profile,
        "MODEL_REGISTRY_DIR": str(signed.registry),
        "MODEL_VERSION": "v1",
        "MODEL_SIGNING_REQUIRED": "true",
        "MODEL_SIGNING_PUBLIC_KEY": str(signed.public_key),
    }


@contextmanager
def running(environ: dict[str, str], log: Path) -> Iterator[Pod]:
    """Ends with SIGTERM, which must take less than two seconds and end in exit code 0."""
    with process("aegis_flows.lab.aegis", log=log, env=environ) as started:
        url = f"http://127.0.0.1:{environ['PORT']}"
        wait_until(lambda: answers(f"{url}/health"))
        yield Pod(url, log, started.pid)
        asked = time.monotonic()
        started.send_signal(signal.SIGTERM)
        assert started.wait(timeout=10) == 0
        assert time.monotonic() - asked < 2


def test_sigterm_writes_what_is_pending(account: Account, environ: dict[str, str], tmp_path: Path) -> None:
    """A pod that stops right after an answer leaves the event in S3, and nothing in the buffer."""
    with running(environ, tmp_path / "log") as pod:
        assert pod.infer(PRIVATE).json()["reason"] == "pii"
    s3 = account.admin.client("s3")
    (item,) = s3.list_objects_v2(Bucket=account.identities.bucket, Prefix="audit/")["Contents"]
    (event,) = s3.get_object(Bucket=account.identities.bucket, Key=item["Key"])["Body"].read().splitlines()
    assert json.loads(event)["prompt"] == PRIVATE
    assert not (tmp_path / "buffer").exists()
    assert traffic.CANARY not in pod.printed()


def test_sigterm_spills_what_s3_does_not_take(environ: dict[str, str], tmp_path: Path) -> None:
    """With S3 unusable and fallback off, a rolling restart loses nothing: all events are in the buffer."""
    buffer = tmp_path / "buffer"
    with running({**environ, "AUDIT_S3_BUCKET": "aegis-audit-wrong"}, tmp_path / "log") as pod:
        for number in range(20):
            assert pod.infer(f"{PRIVATE} {number}").is_success
        wait_until(lambda: "audit: write failed" in pod.printed())
        assert not buffer.exists()
    lines = [line for file in buffer.rglob("*.jsonl") for line in file.read_text().splitlines()]
    assert sorted(json.loads(line)["prompt"] for line in lines) == sorted(f"{PRIVATE} {n}" for n in range(20))
    assert traffic.CANARY not in pod.printed()
    said = r"audit: write failed: code=NoSuchBucket bucket=aegis-audit-wrong key=audit/.*/aegis-7f9c-abcde-00000000-"
    assert re.search(said, pod.printed())
    spilled = [int(count) for count in re.findall(r"audit: buffered events=(\d+) file=audit/", pod.printed())]
    assert sum(spilled) == 20


def test_bad_environment(environ: dict[str, str], tmp_path: Path) -> None:
    """A wrong value ends the pod with one sentence that names it and says what to do."""
    wrong = {**environ, "BATCH_MAX_LATENCY_MS": "soon"}
    with process("aegis_flows.lab.aegis", log=tmp_path / "log", env=wrong) as started:
        assert started.wait(timeout=10) == 1
    assert (tmp_path / "log").read_text() == (
        "aegis: BATCH_MAX_LATENCY_MS must be a number of 0 or more, not 'soon'. "
        "Correct the container's environment in the Deployment.\n"
    )


def test_model_not_loaded_is_logged(environ: dict[str, str], tmp_path: Path) -> None:
    """Signatures required and no key: the log says the reason in one line, and /health goes on saying 503."""
    log = tmp_path / "log"
    with process("aegis_flows.lab.aegis", log=log, env={**environ, "MODEL_SIGNING_PUBLIC_KEY": ""}):
        wait_until(lambda: "model: not loaded: version=v1 missing_key: " in log.read_text())
        assert httpx.get(f"http://127.0.0.1:{environ['PORT']}/health", trust_env=False).status_code == 503
    assert "Traceback" not in log.read_text()
