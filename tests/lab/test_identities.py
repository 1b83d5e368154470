from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.lab import aws_account
from tests.lab.aws_account import Account

account = aws_account.account  # the fixture


def test_profiles(account: Account) -> None:
    """Each profile is who it says: the pods are the role, playbooks are aegis-flows."""
    arns = [
        session.client("sts").get_caller_identity()["Arn"]
        for session in (account.service, account.flows, account.admin)
    ]
    assert arns == [
        "arn:aws:sts::123456789012:assumed-role/aegis-audit/aegis",
        "arn:aws:iam::123456789012:user/aegis-flows",
        "arn:aws:iam::123456789012:user/admin",
    ]


def test_config_files_are_private(account: Account) -> None:
    """The files hold secrets: only their owner reads them."""
    names = account.identities
    files: list[Path] = [names.aegis_config, names.flows_config, names.admin_config]
    assert [oct(file.stat().st_mode & 0o777) for file in files] == ["0o600"] * 3


def test_staging_is_tagged(account: Account) -> None:
    """Flows can read for themselves that bucket, role and key are staging."""
    flows, names = account.flows, account.identities
    bucket = flows.client("s3").get_bucket_tagging(Bucket=names.bucket)["TagSet"]
    role = flows.client("iam").get_role(RoleName="aegis-audit")["Role"]["Tags"]
    key = flows.client("kms").list_resource_tags(KeyId=names.key_id)["Tags"]
    assert bucket == role == [{"Key": "environment", "Value": "staging"}]
    assert key == [{"TagKey": "environment", "TagValue": "staging"}]


def test_flows_may_not_touch_more(account: Account) -> None:
    """aegis-flows changes inline policies of one role, and nothing else of IAM or KMS."""
    iam, kms = account.flows.client("iam"), account.flows.client("kms")
    assert iam.list_role_policies(RoleName="aegis-audit")["PolicyNames"] == ["audit"]
    with pytest.raises(ClientError, match="not authorized to perform: iam:CreateUser"):
        iam.create_user(UserName="mallory")
    with pytest.raises(ClientError, match="not authorized to perform: kms:DisableKey"):
        kms.disable_key(KeyId=account.identities.key_id)


def test_flows_assume_the_role(account: Account) -> None:
    """The playbook's canary gets the service's own rights."""
    answer = account.flows.client("sts").assume_role(RoleArn=account.identities.role_arn, RoleSessionName="canary")
    assert answer["AssumedRoleUser"]["Arn"] == "arn:aws:sts::123456789012:assumed-role/aegis-audit/canary"
