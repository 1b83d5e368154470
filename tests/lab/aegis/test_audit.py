"""The audit writer against a real aws part: what happens to every single event."""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from aegis_flows.lab.aegis import audit, events, settings
from aegis_flows.lab.aegis.audit import AuditWriter
from aegis_flows.lab.aegis.metrics import AuditMetrics
from aegis_flows.lab.aegis.store import Store
from aegis_flows.lab.identities import ROLE
from tests.lab import aws_account
from tests.lab.aws_account import Account
from tests.lab.processes import free_port, wait_until

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

account = aws_account.account  # the fixture

DENY_DECRYPT = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*"}}
KEY = re.compile(r"audit/\d{4}-\d\d-\d\d/\d\d/pod-(?P<seq>\d{8})-(?P<events>\d+)-(?P<sha>[0-9a-f]{64})\.jsonl")


class Drill:
    """A writer, what it counts, and the bucket as an administrator sees it."""

    def __init__(self, account: Account, wanted: settings.Audit) -> None:
        self.account = account
        self.wanted = wanted
        self.registry = CollectorRegistry()
        self.writer = AuditWriter(wanted, "pod", Store(wanted), AuditMetrics(self.registry))
        self.s3: S3Client = account.admin.client("s3")
        self.ids: list[str] = []

    def record(self, count: int = 1, prompt: str = "prompt") -> None:
        for _ in range(count):
            event = events.event(prompt, None, pii=False, pod="pod", at=datetime.now(UTC))
            self.ids.append(event.id)
            self.writer.record(event)

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"aegis_audit_{name}", labels) or 0

    def errors(self, code: str) -> float:
        return self.count("write_errors_total", code=code)

    def failures(self, code: str) -> float:
        return self.count("backend_failures_total", code=code)

    def settled(self) -> None:
        wait_until(lambda: self.writer.pending == 0)

    def in_bucket(self) -> dict[str, bytes]:
        listed = self.s3.list_objects_v2(Bucket=self.account.identities.bucket).get("Contents", [])
        return {item["Key"]: self._read(item["Key"]) for item in listed}

    def in_buffer(self) -> dict[str, bytes]:
        folder = self.wanted.fallback_dir
        assert folder is not None
        return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    def _read(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=self.account.identities.bucket, Key=key)["Body"].read()


Start = Callable[..., Drill]


@pytest.fixture
def wanted(account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> settings.Audit:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(account.identities.aegis_config))
    monkeypatch.setenv("AWS_PROFILE", account.identities.aegis_profile)
    monkeypatch.setenv("AWS_ENDPOINT_URL", account.url)
    names = account.identities
    return settings.Audit(names.bucket, names.key_id, fallback=False, fallback_dir=tmp_path, region=names.region)


@pytest.fixture
def start(account: Account, wanted: settings.Audit) -> Iterator[Start]:
    """Starts writers on an empty bucket; their settings can be changed by name."""
    started: list[Drill] = []
    s3 = account.admin.client("s3")
    for item in s3.list_objects_v2(Bucket=wanted.bucket).get("Contents", []):
        s3.delete_object(Bucket=wanted.bucket, Key=item["Key"])

    def begin(**changes: object) -> Drill:
        drill = Drill(account, replace(wanted, **changes))  # type: ignore[arg-type]  # names and types of settings.Audit
        drill.writer.start()
        started.append(drill)
        return drill

    yield begin
    for drill in started:
        drill.writer.close()


@contextmanager
def decrypt_revoked(account: Account) -> Iterator[None]:
    iam = account.flows.client("iam")
    iam.put_role_policy(RoleName=ROLE, PolicyName="deny", PolicyDocument=json.dumps(DENY_DECRYPT))
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=ROLE, PolicyName="deny")


def ids(objects: dict[str, bytes]) -> list[str]:
    """The ids of all events in these objects; each object must be what its key says."""
    found = []
    for key, body in objects.items():
        named = KEY.fullmatch(key)
        assert named, key
        lines = body.splitlines()
        assert (named["events"], named["sha"]) == (str(len(lines)), hashlib.sha256(body).hexdigest())
        found += [json.loads(line)["id"] for line in lines]
    return found


def test_every_event_is_written_once(start: Start) -> None:
    """1,200 events make three batches, are encrypted with our key, and each is in the bucket exactly once."""
    drill = start()
    drill.record(1200)
    drill.settled()
    objects = drill.in_bucket()
    assert sorted(ids(objects)) == sorted(drill.ids)
    assert sum(1 for _ in objects) <= 4
    head = drill.s3.head_object(Bucket=drill.wanted.bucket, Key=next(iter(objects)))
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", drill.wanted.kms_key_id)
    assert drill.count("events_total") == drill.count("written_events_total") == 1200


def test_revoked_decrypt_is_an_error_until_it_works_again(
    start: Start, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be read back counts as an error and stays in memory; restored, it is written exactly once."""
    drill = start()
    caplog.set_level("INFO")
    with decrypt_revoked(account):
        drill.record(3, "a private prompt")
        wait_until(lambda: drill.errors("AccessDenied") > 0)
        drill.record(2, "a private prompt")
        wait_until(lambda: drill.failures("AccessDenied") >= 2)
        assert (drill.count("pending_events"), drill.count("written_events_total")) == (5, 0)
    drill.settled()
    assert sorted(ids(drill.in_bucket())) == sorted(drill.ids)
    assert drill.in_buffer() == {}
    key = next(key for key in drill.in_bucket() if "pod-00000000-" in key)
    assert f"audit: write failed: code=AccessDenied bucket={drill.wanted.bucket} key={key}" in caplog.messages
    assert caplog.messages[-1] == "audit: backend works again"
    assert "private" not in caplog.text


def test_events_that_wait_share_a_batch(start: Start) -> None:
    """Behind a batch that S3 does not take, events collect in one batch instead of one per flush."""
    drill = start(bucket="aegis-audit-wrong")
    drill.record()
    wait_until(lambda: drill.errors("NoSuchBucket") > 0)
    for attempt in range(2, 4):
        drill.record()
        wait_until(lambda wanted=attempt: drill.failures("NoSuchBucket") >= wanted)  # type: ignore[misc]  # bound now
    drill.writer.close()
    assert sorted(ids(drill.in_buffer())) == sorted(drill.ids)
    assert len(drill.in_buffer()) == 2


def test_fallback_buffers_the_very_object(start: Start, account: Account) -> None:
    """With fallback on, a failed batch is in the buffer under the key and with the bytes it has in S3."""
    drill = start(fallback=True)
    with decrypt_revoked(account):
        drill.record(3)
        drill.settled()
        assert drill.count("buffered_events_total") == 3
        assert (drill.failures("AccessDenied"), drill.errors("AccessDenied")) == (1, 0)
        assert sorted(ids(drill.in_buffer())) == sorted(drill.ids)
    assert drill.in_buffer() == drill.in_bucket()  # the put had worked, only the reading back was denied


def test_breaker(start: Start, account: Account, caplog: pytest.LogCaptureFixture) -> None:
    """After a failure batches skip S3 for two seconds; then one tries it again and the writer is back."""
    drill = start(fallback=True)
    caplog.set_level("INFO")
    with decrypt_revoked(account):
        for _ in range(3):
            drill.record()
            drill.settled()
        assert drill.failures("AccessDenied") == 1
        assert drill.count("buffered_events_total") == 3
    buffered = list(drill.ids)

    def written() -> bool:
        drill.record()
        drill.settled()
        return drill.count("written_events_total") > 0

    wait_until(written)
    assert "audit: backend works again" in caplog.messages
    assert set(buffered) <= set(ids(drill.in_buffer()))
    moved = {**drill.in_bucket(), **drill.in_buffer()}  # as a migration merges them
    assert sorted(ids(moved)) == sorted(drill.ids)


def test_unwritable_buffer_is_an_error(start: Start, tmp_path: Path) -> None:
    """If the buffer takes nothing either, events stay pending and count as errors; nothing is lost."""
    blocked = tmp_path / "buffer"
    blocked.touch()
    drill = start(fallback=True, bucket="aegis-audit-wrong", fallback_dir=blocked)
    drill.record(2)
    wait_until(lambda: drill.errors("BufferUnwritable") >= 2)
    assert drill.count("pending_events") == 2
    blocked.unlink()
    drill.settled()
    assert sorted(ids(drill.in_buffer())) == sorted(drill.ids)
    assert drill.count("lost_events_total") == 0


def test_endpoint_down(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody at the endpoint is a failure with its own code; at the end the events are in the buffer."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    drill = start()
    drill.record(2)
    wait_until(lambda: drill.errors("EndpointConnectionError") > 0)
    drill.writer.close()
    assert sorted(ids(drill.in_buffer())) == sorted(drill.ids)
    assert drill.writer.pending == 0


def test_full_memory_keeps_the_oldest(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """When memory is full the newest events are lost and counted, the oldest are kept; the sum holds."""
    drill = start(bucket="aegis-audit-wrong")
    drill.record()
    wait_until(lambda: drill.errors("NoSuchBucket") > 0)
    monkeypatch.setattr(audit, "MAX_PENDING_BYTES", 10_000)
    drill.record(100, "x" * 1000)
    kept = int(drill.count("pending_events"))
    assert drill.count("events_total") == 101 == kept + drill.count("lost_events_total")
    drill.writer.close()
    assert sorted(ids(drill.in_buffer())) == sorted(drill.ids[:kept])


def test_no_buffer_at_the_end_is_said(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """Neither S3 nor a buffer at exit: the events are counted and logged as lost, without their content."""
    drill = start(bucket="aegis-audit-wrong", fallback_dir=None)
    drill.record(2, "a private prompt")
    drill.writer.close()
    assert drill.count("lost_events_total") == 2
    assert any(message.startswith("audit: lost events=2 key=audit/") for message in caplog.messages)
    assert "private" not in caplog.text


def test_recording_from_many_threads(start: Start) -> None:
    """Eight threads record at once: every event arrives, none twice."""
    drill = start()
    threads = [threading.Thread(target=drill.record, args=(200,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drill.settled()
    assert sorted(ids(drill.in_bucket())) == sorted(drill.ids)
    assert len(drill.ids) == 1600
