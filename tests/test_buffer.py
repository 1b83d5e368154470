"""The migration against a real S3 API with KMS enforced."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from types_boto3_s3 import S3Client

from aegis_flows import buffer
from tests.lab.aws_account import Account
from tests.lab.processes import wait_until

DENY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*"}]}
)


@pytest.fixture
def s3(account: Account) -> S3Client:
    return account.service.client("s3")


@pytest.fixture
def target(account: Account) -> buffer.Target:
    return buffer.Target(account.identities.bucket, account.identities.key_arn)


def lay(folder: Path, batches: int, events: int = 3) -> set[str]:
    """Batches as the audit writer lays them; the ids of their events."""
    ids: set[str] = set()
    for number in range(batches):
        lines = [{"id": uuid4().hex} for _ in range(events)]
        ids.update(line["id"] for line in lines)
        body = "".join(json.dumps(line) + "\n" for line in lines).encode()
        name = f"aegis-{uuid4().hex[:6]}-{number:08d}-{events}-{hashlib.sha256(body).hexdigest()}.jsonl"
        path = folder / "audit/2026-11-23" / f"{number % 24:02d}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return ids


def stored(s3: S3Client, bucket: str) -> Iterator[str]:
    """The id of every event in the audit trail, as often as it is there."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="audit/"):
        for entry in page.get("Contents", []):
            for line in s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read().splitlines():
                yield json.loads(line)["id"]


def test_every_event_arrives_once_and_the_buffer_is_empty(s3: S3Client, target: buffer.Target, tmp_path: Path) -> None:
    """Found equals moved, counted on both sides."""
    ids = lay(tmp_path, 40)
    told = buffer.move(tmp_path, s3, target)
    assert (told.found, told.moved, told.left, told.adds_up) == (120, 120, 0, True)
    assert buffer.count(tmp_path).files == 0
    assert sorted(i for i in stored(s3, target.bucket) if i in ids) == sorted(ids)


def test_what_s3_refuses_stays_in_the_buffer(
    account: Account, s3: S3Client, target: buffer.Target, tmp_path: Path
) -> None:
    """Without decrypt nothing can be read back, so nothing is removed; afterwards a rerun moves all of it, once."""
    ids = lay(tmp_path, 5)
    iam = account.flows.client("iam")
    iam.put_role_policy(RoleName="aegis-audit", PolicyName="deny", PolicyDocument=DENY)
    told = buffer.move(tmp_path, s3, target)
    assert (told.found, told.moved, told.left, told.adds_up) == (15, 0, 15, True)
    iam.delete_role_policy(RoleName="aegis-audit", PolicyName="deny")
    assert buffer.move(tmp_path, s3, target).moved == 15
    assert sorted(i for i in stored(s3, target.bucket) if i in ids) == sorted(ids)


def test_damaged_batch_is_set_aside_and_counted(s3: S3Client, target: buffer.Target, tmp_path: Path) -> None:
    """Bytes that are not what their name says never reach the audit trail, and are not lost either."""
    lay(tmp_path, 2)
    damaged = next(buffer.batches(tmp_path)).path
    damaged.write_bytes(b"torn")
    told = buffer.move(tmp_path, s3, target)
    assert (told.found, told.moved, told.quarantined, told.adds_up) == (6, 3, 3, True)
    assert (tmp_path / "quarantine" / damaged.relative_to(tmp_path)).read_bytes() == b"torn"


def test_two_migrations_at_once_move_each_event_once(s3: S3Client, target: buffer.Target, tmp_path: Path) -> None:
    """The second waits for the first, and together they account for every event."""
    ids = lay(tmp_path, 40)
    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(lambda _: buffer.move(tmp_path, s3, target), range(2)))
    assert sorted(t.moved for t in told) == [0, 120]
    assert sorted(i for i in stored(s3, target.bucket) if i in ids) == sorted(ids)


def test_unfinished_file_is_passed_by(s3: S3Client, target: buffer.Target, tmp_path: Path) -> None:
    """What a writer is still writing is not a batch yet."""
    lay(tmp_path, 1)
    batch = next(buffer.batches(tmp_path)).path
    batch.rename(batch.with_suffix(".jsonl.tmp"))
    assert buffer.move(tmp_path, s3, target).files == 0
    assert batch.with_suffix(".jsonl.tmp").exists()


def test_killed_migration_is_finished_by_the_next_one(
    account: Account, s3: S3Client, target: buffer.Target, tmp_path: Path
) -> None:
    """`kill -9` while it moves: no event is lost and none is there twice."""
    ids = lay(tmp_path, 150)
    code = (
        "import boto3, sys; from pathlib import Path; from aegis_flows import buffer;"
        "s3 = boto3.Session(profile_name=sys.argv[4]).client('s3');"
        "buffer.move(Path(sys.argv[1]), s3, buffer.Target(sys.argv[2], sys.argv[3]), workers=4)"
    )
    who = account.identities
    command = [sys.executable, "-c", code, str(tmp_path), target.bucket, target.key_id, who.aegis_profile]
    killed = subprocess.Popen(command, env={**os.environ, "AWS_CONFIG_FILE": str(who.aegis_config)})
    wait_until(lambda: buffer.count(tmp_path).files < 120, seconds=30)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    left = buffer.count(tmp_path)
    assert 0 < left.files < 120
    told = buffer.move(tmp_path, s3, target)
    assert (told.found, told.adds_up, buffer.count(tmp_path).files) == (left.left, True, 0)
    assert sorted(i for i in stored(s3, target.bucket) if i in ids) == sorted(ids)
