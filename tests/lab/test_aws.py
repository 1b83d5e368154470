import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.iam.access_control import PermissionResult

from aegis_flows.lab import aws_rules
from aegis_flows.lab.identities import ROLE
from tests.lab import aws_account
from tests.lab.aws_account import Account, process
from tests.lab.processes import answers, free_port, wait_until

if TYPE_CHECKING:
    from types_boto3_kms import KMSClient
    from types_boto3_s3 import S3Client

account = aws_account.account  # the fixture


class Audit:
    """What the service does with bucket and key."""

    def __init__(self, account: Account) -> None:
        self.names = account.identities
        self.s3: S3Client = account.service.client("s3")
        self.kms: KMSClient = account.service.client("kms")

    def put(self, key: str = "audit/one", body: bytes = b"event", kms_key: str = "") -> None:
        self.s3.put_object(
            Bucket=self.names.bucket,
            Key=key,
            Body=body,
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId=kms_key or self.names.key_id,
        )

    def get(self, key: str = "audit/one") -> bytes:
        return self.s3.get_object(Bucket=self.names.bucket, Key=key)["Body"].read()

    def encrypt(self) -> bytes:
        return self.kms.encrypt(KeyId=self.names.key_arn, Plaintext=b"text")["CiphertextBlob"]

    def decrypt(self, blob: bytes) -> bytes:
        return self.kms.decrypt(CiphertextBlob=blob)["Plaintext"]

    def generate(self) -> object:
        return self.kms.generate_data_key(KeyId=self.names.key_id, KeySpec="AES_256")


@pytest.fixture(scope="module")
def audit(account: Account) -> Audit:
    return Audit(account)


def refused(call: Callable[[], object]) -> tuple[str, str]:
    """The code and the message of the error that the call ends with."""
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@contextmanager
def denied(account: Account, action: str) -> Iterator[None]:
    """As the game-day's fault does it: an explicit deny in an inline policy of the role, put by aegis-flows."""
    iam = account.flows.client("iam")
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": action, "Resource": "*"}]}
    iam.put_role_policy(RoleName=ROLE, PolicyName="gameday-deny", PolicyDocument=json.dumps(document))
    yield
    iam.delete_role_policy(RoleName=ROLE, PolicyName="gameday-deny")


def test_disabled_key(account: Account, audit: Audit) -> None:
    """A disabled key serves neither S3 nor KMS, in AWS' codes for each; enabled again it serves both."""
    admin = account.admin.client("kms")
    audit.put()
    blob = audit.encrypt()
    admin.disable_key(KeyId=audit.names.key_arn)
    assert refused(audit.put) == ("KMS.DisabledException", f"{audit.names.key_arn} is disabled.")
    assert refused(audit.get)[0] == "KMS.DisabledException"
    for call in (audit.encrypt, audit.generate, lambda: audit.decrypt(blob)):
        assert refused(call) == ("DisabledException", f"{audit.names.key_arn} is disabled.")
    admin.enable_key(KeyId=audit.names.key_id)
    audit.put(body=b"after")
    assert (audit.get(), audit.decrypt(blob)) == (b"after", b"text")


def test_key_pending_deletion(account: Account, audit: Audit) -> None:
    """A key that waits for its deletion serves nobody and cannot be enabled before the deletion is cancelled."""
    admin = account.admin.client("kms")
    audit.put()
    admin.schedule_key_deletion(KeyId=audit.names.key_arn, PendingWindowInDays=7)
    assert refused(audit.put) == ("KMS.KMSInvalidStateException", f"{audit.names.key_arn} is pending deletion.")
    assert refused(audit.get)[0] == "KMS.KMSInvalidStateException"
    assert refused(audit.encrypt)[0] == "KMSInvalidStateException"
    assert refused(lambda: admin.enable_key(KeyId=audit.names.key_id))[0] == "KMSInvalidStateException"
    admin.cancel_key_deletion(KeyId=audit.names.key_id)
    admin.enable_key(KeyId=audit.names.key_id)
    assert audit.get() == b"event"


def test_revoked_decrypt(account: Account, audit: Audit) -> None:
    """With kms:Decrypt denied the role still puts, but gets nothing back; the sentence names the explicit deny."""
    blob = audit.encrypt()
    with denied(account, "kms:Decrypt"):
        audit.put(body=b"put while denied")
        code, message = refused(audit.get)
        assert code == "AccessDenied"
        assert "assumed-role/aegis-audit/" in message
        assert f"perform: kms:Decrypt on resource: {audit.names.key_arn} with an explicit deny" in message
        assert refused(lambda: audit.decrypt(blob)) == ("AccessDeniedException", message)
    assert audit.get() == b"put while denied"


def test_revoked_data_key(account: Account, audit: Audit) -> None:
    """With kms:GenerateDataKey denied nothing can be put, and nothing half-put is left."""
    with denied(account, "kms:GenerateDataKey"):
        code, message = refused(lambda: audit.put("audit/denied"))
        assert (code, "kms:GenerateDataKey" in message) == ("AccessDenied", True)
        assert refused(audit.generate)[0] == "AccessDeniedException"
    assert refused(lambda: audit.get("audit/denied"))[0] == "NoSuchKey"


def test_missing_allow(account: Account, audit: Audit) -> None:
    """A user whose policies say nothing of the key is denied too, and told that nothing allows it."""
    blob = audit.encrypt()
    code, message = refused(lambda: account.flows.client("kms").decrypt(CiphertextBlob=blob))
    assert code == "AccessDeniedException"
    assert message.startswith("User: arn:aws:iam::123456789012:user/aegis-flows is not authorized")
    assert message.endswith("because no identity-based policy allows the kms:Decrypt action")


def test_deny_on_a_user(account: Account) -> None:
    """A deny in a user's own inline policy beats the allow beside it."""
    iam, kms = account.admin.client("iam"), account.flows.client("kms")
    key_arn = account.identities.key_arn
    statement = {"Effect": "Deny", "Action": ["kms:Describe*"], "Resource": [key_arn]}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    iam.put_user_policy(UserName="aegis-flows", PolicyName="deny", PolicyDocument=document)
    assert refused(lambda: kms.describe_key(KeyId="alias/aegis-audit"))[0] == "AccessDeniedException"
    iam.delete_user_policy(UserName="aegis-flows", PolicyName="deny")
    assert kms.describe_key(KeyId="alias/aegis-audit")["KeyMetadata"]["Arn"] == key_arn


def test_missing_bucket(audit: Audit) -> None:
    """A bucket that does not exist is NoSuchBucket, though no policy of the role names it."""
    s3 = audit.s3
    assert refused(lambda: s3.put_object(Bucket="aegis-audit-stagin", Key="k", Body=b""))[0] == "NoSuchBucket"
    assert refused(lambda: s3.get_object(Bucket="aegis-audit-stagin", Key="k"))[0] == "NoSuchBucket"
    assert refused(lambda: s3.list_objects_v2(Bucket="aegis-audit-stagin"))[0] == "NoSuchBucket"
    assert refused(lambda: s3.head_bucket(Bucket="aegis-audit-stagin"))[0] == "404"
    assert s3.head_bucket(Bucket=audit.names.bucket)["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_missing_key(account: Account) -> None:
    """Who may use any key learns that this one does not exist."""
    key_arn = account.identities.key_arn.rpartition("/")[0] + "/11111111-2222-3333-4444-555555555555"
    s3, kms = account.admin.client("s3"), account.admin.client("kms")
    put = refused(
        lambda: s3.put_object(
            Bucket=account.identities.bucket, Key="k", ServerSideEncryption="aws:kms", SSEKMSKeyId=key_arn
        )
    )
    assert put == ("KMS.NotFoundException", f"Key '{key_arn}' does not exist")
    assert refused(lambda: kms.encrypt(KeyId=key_arn, Plaintext=b"x"))[0] == "NotFoundException"


def test_denied_s3_calls(account: Account) -> None:
    """S3 calls without permission or signature are AccessDenied with status 403, never the code "403"."""
    bucket = account.identities.bucket
    flows = account.flows.client("s3")
    unsigned = account.flows.client("s3", config=Config(signature_version=UNSIGNED))
    calls = (
        lambda: flows.put_object(Bucket=bucket, Key="k", Body=b""),
        lambda: flows.get_object(Bucket=bucket, Key="k"),
        lambda: flows.delete_object(Bucket=bucket, Key="k"),
        lambda: unsigned.get_object(Bucket=bucket, Key="k"),
    )
    assert [refused(call)[0] for call in calls] == ["AccessDenied"] * 4


def test_bucket_policy_denial(account: Account, audit: Audit) -> None:
    """A bucket policy's denial has a body with a code; moto's own has none."""
    s3 = account.admin.client("s3")
    resource = f"arn:aws:s3:::{audit.names.bucket}/*"
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": resource}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    audit.put()
    s3.put_bucket_policy(Bucket=audit.names.bucket, Policy=document)
    assert refused(audit.get) == ("AccessDenied", "Access Denied")
    s3.delete_bucket_policy(Bucket=audit.names.bucket)
    assert audit.get() == b"event"


def test_parallel_puts(audit: Audit) -> None:
    """200 puts over 20 connections: each object is there once, with its own bytes."""
    bodies = {f"parallel/{number}": str(number).encode() * 100 for number in range(200)}
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(audit.put, bodies, bodies.values()))
        found = dict(zip(bodies, pool.map(audit.get, bodies), strict=True))
    assert found == bodies


def test_verdict() -> None:
    """A deny in one policy beats an allow in another, whatever their order."""
    allow, deny = (
        json.dumps({"Statement": [{"Effect": e, "Action": "kms:*", "Resource": "*"}]}) for e in ("Allow", "Deny")
    )
    for policies in ([allow, deny], [deny, allow], [deny]):
        assert aws_rules.verdict(policies, "kms:Decrypt", "arn:key") is PermissionResult.DENIED
    assert aws_rules.verdict([allow], "kms:Decrypt", "arn:key") is PermissionResult.PERMITTED
    assert aws_rules.verdict([allow], "s3:GetObject", "arn:object") is PermissionResult.NEUTRAL


def test_stops_on_sigterm(tmp_path: Path) -> None:
    """SIGTERM ends the part within two seconds, with exit code 0."""
    port = free_port()
    with process("aegis_flows.lab.aws", "--port", str(port), log=tmp_path / "log") as started:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/moto-api/"))
        asked = time.monotonic()
        started.send_signal(signal.SIGTERM)
        assert started.wait(timeout=5) == 0
        assert time.monotonic() - asked < 2


def test_port_in_use(tmp_path: Path) -> None:
    """A port that is taken ends the part with a message that names it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with process("aegis_flows.lab.aws", "--port", str(port), log=tmp_path / "log") as started:
            assert started.wait(timeout=10) != 0
    assert f"Port {port} is in use" in (tmp_path / "log").read_text()
