"""Who may do what in the lab's AWS account, and the bucket and the key they do it with."""

import json
import os
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import boto3

if TYPE_CHECKING:
    from types_boto3_iam import IAMClient
    from types_boto3_iam.type_defs import AccessKeyTypeDef

ACCOUNT = "123456789012"
REGION = "us-east-1"
BUCKET = "aegis-audit-staging"
KEY_ALIAS = "alias/aegis-audit"
ROLE = "aegis-audit"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"
ROLE_ACTIONS_ON_KEY = ["kms:GenerateDataKey", "kms:Decrypt", "kms:Encrypt", "kms:DescribeKey"]
FLOWS_ACTIONS_ON_ROLE = [
    "iam:GetRole",
    "iam:ListRoleTags",
    "iam:ListRolePolicies",
    "iam:GetRolePolicy",
    "iam:PutRolePolicy",  # the game-day's fault and its undo
    "iam:DeleteRolePolicy",
    "sts:AssumeRole",
]


class Tag(TypedDict):
    Key: str
    Value: str


STAGING: Tag = {"Key": "environment", "Value": "staging"}


@dataclass(frozen=True)
class Identities:
    """What was seeded: the config file and the profile of each identity.

    `aegis_*` is for the pods (assumes the role), `flows_*` for the playbooks (user aegis-flows), `admin_*` for a
    person who breaks or looks after the lab by hand.
    """

    bucket: str
    key_id: str
    key_arn: str
    role_arn: str
    region: str
    aegis_config: Path
    aegis_profile: str
    flows_config: Path
    flows_profile: str
    admin_config: Path
    admin_profile: str


def seed(endpoint_url: str, folder: Path) -> Identities:
    """Creates all of it in a moto that does not enforce IAM yet, then switches enforcement on; under 3 s.

    Writes `aegis.config`, `flows.config` and `admin.config` to `<folder>/aws`, readable by their owner alone.
    """
    session = boto3.Session(aws_access_key_id="seeding", aws_secret_access_key="seeding", region_name=REGION)  # noqa: S106  (moto takes any until it enforces)
    iam = session.client("iam", endpoint_url=endpoint_url)
    key_arn = _create_key_and_bucket(session, endpoint_url)
    admin = _user(iam, "admin", [_allow(["*"], ["*"])])
    flows = _user(iam, "aegis-flows", _flows_statements(key_arn))
    service = _user(iam, "aegis-service", [_allow(["sts:AssumeRole"], [ROLE_ARN])])
    _create_role(iam, key_arn)
    identities = Identities(
        bucket=BUCKET,
        key_id=key_arn.rpartition("/")[2],
        key_arn=key_arn,
        role_arn=ROLE_ARN,
        region=REGION,
        aegis_config=folder / "aws" / "aegis.config",
        aegis_profile="aegis",
        flows_config=folder / "aws" / "flows.config",
        flows_profile="flows",
        admin_config=folder / "aws" / "admin.config",
        admin_profile="admin",
    )
    _write_private(identities.aegis_config, _role_profile(endpoint_url, service))
    _write_private(identities.flows_config, _profile("flows", endpoint_url, flows))
    _write_private(identities.admin_config, _profile("admin", endpoint_url, admin))
    _enforce_iam(endpoint_url)
    return identities


def _create_key_and_bucket(session: boto3.Session, endpoint_url: str) -> str:
    kms = session.client("kms", endpoint_url=endpoint_url)
    key = kms.create_key(Description="Audit events", Tags=[{"TagKey": STAGING["Key"], "TagValue": STAGING["Value"]}])
    key_arn = key["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName=KEY_ALIAS, TargetKeyId=key_arn)
    s3 = session.client("s3", endpoint_url=endpoint_url)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": [STAGING]})
    return key_arn


def _user(iam: "IAMClient", name: str, statements: Sequence[Mapping[str, object]]) -> "AccessKeyTypeDef":
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=_policy(statements))
    return iam.create_access_key(UserName=name)["AccessKey"]


def _create_role(iam: "IAMClient", key_arn: str) -> None:
    principals = [f"arn:aws:iam::{ACCOUNT}:user/{name}" for name in ("aegis-flows", "aegis-service")]
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": principals}}
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=_policy([trust]), Tags=[STAGING])
    statements = [
        _allow(["s3:PutObject", "s3:GetObject", "s3:DeleteObject"], [f"arn:aws:s3:::{BUCKET}/*"]),
        _allow(["s3:ListBucket"], [f"arn:aws:s3:::{BUCKET}"]),
        _allow(ROLE_ACTIONS_ON_KEY, [key_arn]),
    ]
    iam.put_role_policy(RoleName=ROLE, PolicyName="audit", PolicyDocument=_policy(statements))


def _flows_statements(key_arn: str) -> list[Mapping[str, object]]:
    return [
        _allow(FLOWS_ACTIONS_ON_ROLE, [ROLE_ARN]),
        _allow(["kms:DescribeKey", "kms:ListResourceTags", "kms:GetKeyPolicy"], [key_arn]),
        _allow(["kms:ListAliases"], ["*"]),
        _allow(["s3:ListBucket", "s3:GetBucketTagging", "s3:GetBucketLocation"], [f"arn:aws:s3:::{BUCKET}"]),
    ]


def _allow(actions: Sequence[str], resources: Sequence[str]) -> Mapping[str, object]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}


def _policy(statements: Sequence[Mapping[str, object]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _profile(name: str, endpoint_url: str, key: "AccessKeyTypeDef") -> str:
    return (
        f"[profile {name}]\n"
        f"region = {REGION}\n"
        f"endpoint_url = {endpoint_url}\n"
        f"aws_access_key_id = {key['AccessKeyId']}\n"
        f"aws_secret_access_key = {key['SecretAccessKey']}\n"
    )


def _role_profile(endpoint_url: str, key: "AccessKeyTypeDef") -> str:
    return _profile("aegis-service", endpoint_url, key) + (
        "\n[profile aegis]\n"
        f"region = {REGION}\n"
        f"endpoint_url = {endpoint_url}\n"
        f"role_arn = {ROLE_ARN}\n"
        "role_session_name = aegis\n"
        "source_profile = aegis-service\n"
    )


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # an older file may have a wider mode
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _enforce_iam(endpoint_url: str) -> None:
    """Moto reads the body only if it is not taken for a form."""
    request = urllib.request.Request(  # noqa: S310  (the lab's own address)
        f"{endpoint_url}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310  (the lab's own address)
        response.read()
