"""The canary names the cause, against S3, KMS and IAM that really refuse."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from aegis_flows.domain import Cause, Diagnosis
from tasks import audit
from tests.lab.aws_account import Account


def diagnosis(account: Account, bucket: str | None = None) -> Diagnosis:
    who = account.identities
    return audit.canary.fn(bucket or who.bucket, who.key_arn)


@contextmanager
def denied(account: Account, *actions: str) -> Iterator[None]:
    iam = account.flows.client("iam")
    statement = {"Effect": "Deny", "Action": list(actions), "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName="aegis-audit", PolicyName="deny", PolicyDocument=document)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName="aegis-audit", PolicyName="deny")


def test_working_backend_is_named_so_and_left_clean(audit_account: Account) -> None:
    """The canary is removed again."""
    assert diagnosis(audit_account).cause is Cause.none
    left = audit_account.admin.client("s3").list_objects_v2(Bucket=audit_account.identities.bucket, Prefix="canary/")
    assert left["KeyCount"] == 0


def test_missing_bucket(audit_account: Account) -> None:
    """The game-day's first variant."""
    told = diagnosis(audit_account, "aegis-audit-staging-misconfigured")
    assert (told.cause, told.usable) == (Cause.no_such_bucket, False)
    assert "NoSuchBucket" in told.evidence


@pytest.mark.parametrize(
    ("action", "cause"),
    [
        ("kms:Decrypt", Cause.decrypt_denied),
        ("kms:GenerateDataKey", Cause.encrypt_denied),
        ("s3:PutObject", Cause.access_denied),
        ("s3:GetObject", Cause.access_denied),
    ],
)
def test_denied_permission_is_told_apart(audit_account: Account, action: str, cause: Cause) -> None:
    """Which permission is missing decides who mends it."""
    with denied(audit_account, action):
        told = diagnosis(audit_account)
    assert told.cause is cause
    assert action in told.evidence
    assert diagnosis(audit_account).usable


def test_disabled_and_deleted_keys(audit_account: Account) -> None:
    """A key that sleeps is not a key that is gone."""
    kms, key = audit_account.admin.client("kms"), audit_account.identities.key_arn
    kms.disable_key(KeyId=key)
    assert diagnosis(audit_account).cause is Cause.key_disabled
    kms.enable_key(KeyId=key)
    assert diagnosis(audit_account).usable
    missing = audit.canary.fn(audit_account.identities.bucket, key[:-4] + "0000")
    assert missing.cause in (Cause.key_missing, Cause.encrypt_denied)


def test_dead_endpoint(audit_account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers: that is the endpoint's fault and nobody's permission."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert diagnosis(audit_account).cause is Cause.endpoint_down


def test_evidence_holds_no_body(audit_account: Account) -> None:
    """Code and request id, so that AWS support can find it; nothing of the content."""
    told = diagnosis(audit_account, "aegis-audit-staging-misconfigured")
    assert "(request " in told.evidence
    assert "canary/" not in told.evidence
