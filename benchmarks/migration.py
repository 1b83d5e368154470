"""Moving the audit buffer: one worker against sixteen, and memory for ten times as many batches.

The other side is the lab's S3 (moto in one process), which is the bottleneck; a real S3 leaves more to gain.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx

from aegis_flows.lab import identities, ports

EVENTS = 100
CODE = """
import resource, sys, time
from pathlib import Path
import boto3
from botocore.config import Config
from aegis_flows import buffer
folder, bucket, key, profile, workers = sys.argv[1:]
config = Config(max_pool_connections=64, s3={"addressing_style": "path"})
s3 = boto3.Session(profile_name=profile).client("s3", config=config)
s3.list_objects_v2(Bucket=bucket, MaxKeys=1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.perf_counter()
told = buffer.move(Path(folder), s3, buffer.Target(bucket, key), workers=int(workers))
seconds = time.perf_counter() - began
assert told.adds_up and not told.left, told
print(told.moved, seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name, _account(Path(name)) as account:
        one = _moved(Path(name), account, batches=300, workers=1)
        sixteen = _moved(Path(name), account, batches=300, workers=16)
        large = _moved(Path(name), account, batches=3000, workers=16)
    print("buffer migration         events/s    memory on top, MB")
    print(f"300 batches, 1 worker    {one[0]:8.0f}    {one[1]:6.1f}")
    print(f"300 batches, 16 workers  {sixteen[0]:8.0f}    {sixteen[1]:6.1f}")
    print(f"3000 batches, 16 workers {large[0]:8.0f}    {large[1]:6.1f}")
    print(f"16 workers against one: {sixteen[0] / one[0]:.1f} times as fast\n")


def _moved(folder: Path, account: identities.Identities, batches: int, workers: int) -> tuple[float, float]:
    """Events a second, and the memory in MB that moving them took on top of what the process had before."""
    buffer = folder / uuid4().hex
    _lay(buffer, batches)
    arguments = [str(buffer), account.bucket, account.key_arn, account.aegis_profile, str(workers)]
    done = subprocess.run(
        [sys.executable, "-c", CODE, *arguments],
        env={**os.environ, "AWS_CONFIG_FILE": str(account.aegis_config)},
        capture_output=True,
        text=True,
        check=True,
    )
    moved, seconds, memory = map(float, done.stdout.split()[-3:])
    assert moved == batches * EVENTS
    return moved / seconds, memory


def _lay(folder: Path, batches: int) -> None:
    for number in range(batches):
        lines = [json.dumps({"id": uuid4().hex, "prompt": "x" * 200}) + "\n" for _ in range(EVENTS)]
        body = "".join(lines).encode()
        path = folder / f"audit/2026-11-23/{number % 24:02d}"
        path.mkdir(parents=True, exist_ok=True)
        (path / f"pod-{number:08d}-{EVENTS}-{hashlib.sha256(body).hexdigest()}.jsonl").write_bytes(body)


@contextmanager
def _account(folder: Path) -> Iterator[identities.Identities]:
    port = ports.allot()["aws"]
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "aegis_flows.lab.aws", "--port", str(port)], stdout=subprocess.DEVNULL
    )
    try:
        _until_answers(f"{url}/moto-api/")
        yield identities.seed(url, folder)
    finally:
        server.terminate()
        server.wait()


def _until_answers(url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise SystemExit(f"{url} did not answer within 30 s")
