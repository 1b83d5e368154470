"""The audit backend: a canary that names what is wrong with it, and the fallback buffer."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from aegis_flows import buffer
from aegis_flows.clients import Clients
from aegis_flows.domain import BufferCount, Cause, Diagnosis
from aegis_flows.operation import Operation, command, operation
from tasks.kinds import action, probe

AS_ROLE = ["aws", "--profile", "aegis-audit"]
FALLBACK = "AUDIT_FALLBACK_ENABLED"
BACKEND = ("AUDIT_S3_BUCKET", "AUDIT_KMS_KEY_ID")
"""The service's own settings, as they stand on its Deployment."""


@probe("canary through {bucket}")
@operation
def canary(bucket: str, key_id: str) -> Operation[Diagnosis]:
    """Write, read back and remove a canary as the service's own role, then use the key alone; name the first failure.

    The canary holds random bytes and lies under `canary/`; the audit trail is never touched.
    """
    name = f"canary/{uuid4().hex}"
    where = ["--bucket", bucket, "--key", name]
    put = command(
        *AS_ROLE, "s3api", "put-object", *where, "--server-side-encryption", "aws:kms", "--ssekms-key-id", key_id
    )
    get = command(*AS_ROLE, "s3api", "get-object", *where, "/dev/stdout")
    delete = command(*AS_ROLE, "s3api", "delete-object", *where)
    return Operation(
        shell=f"head -c 32 /dev/urandom | {put} --body /dev/stdin && {get} && {delete}",
        run=lambda c: _diagnose(c, bucket, key_id, name),
    )


@probe("what lies in the buffer")
@operation
def buffered(folder: str) -> Operation[BufferCount]:
    """Events and files in the fallback buffer, counted from the files' names."""
    return Operation(
        shell=command("find", f"{folder}/audit", "-name", "*.jsonl"), run=lambda _: buffer.count(Path(folder))
    )


@action("move the buffer to {bucket}")
@operation
def move_buffer(folder: str, bucket: str, key_id: str) -> Operation[BufferCount]:
    """Move every buffered batch to S3, read it back, then remove the file; what S3 refuses stays where it is."""
    return Operation(
        kind="write",
        shell=command(
            *AS_ROLE, "s3", "mv", "--recursive", f"{folder}/audit", f"s3://{bucket}/audit",
            "--exclude", "*", "--include", "*.jsonl", "--sse", "aws:kms", "--sse-kms-key-id", key_id,
        ),
        run=lambda c: buffer.move(Path(folder), c.audit_s3, buffer.Target(bucket, key_id)),
    )  # fmt: skip


def _diagnose(c: Clients, bucket: str, key_id: str, name: str) -> Diagnosis:
    body = hashlib.sha256(name.encode()).digest()
    steps: list[tuple[str, Callable[[], Any]]] = [
        ("sts:AssumeRole", lambda: _assume(c)),
        ("kms:GenerateDataKey", lambda: _data_key(c, key_id)),
        ("kms:Decrypt", lambda: c.audit_kms.decrypt(CiphertextBlob=_data_key(c, key_id), KeyId=key_id)),
        ("s3:PutObject", lambda: _put(c, bucket, key_id, name, body)),
        ("s3:GetObject", lambda: _get(c, bucket, name)),
    ]
    answer: Any = None
    for step, do in steps:
        try:
            answer = do()
        except Exception as error:  # noqa: BLE001  # whatever it is, it must be named and not escape
            found = cause_of(step, error)
            if found is not Cause.no_such_bucket:
                found = _bucket_first(c, bucket, found)
            _remove(c, bucket, name)
            return Diagnosis(cause=found, bucket=bucket, key_id=key_id, evidence=f"{step}: {evidence(error)}")
    _remove(c, bucket, name)
    if answer != body:
        return Diagnosis(cause=Cause.corrupted, bucket=bucket, key_id=key_id, evidence="s3:GetObject: other bytes")
    return Diagnosis(cause=Cause.none, bucket=bucket, key_id=key_id, evidence="written, read back, decrypted, removed")


def cause_of(step: str, error: Exception) -> Cause:
    """The cause behind a failed step. Codes: AWS' KMS and S3 error references."""
    code = str(getattr(error, "response", {}).get("Error", {}).get("Code", type(error).__name__))
    bare = code.removeprefix("KMS.")
    by_code = {
        "NoSuchBucket": Cause.no_such_bucket,
        "DisabledException": Cause.key_disabled,
        "NotFoundException": Cause.key_missing,
        "KMSInvalidStateException": Cause.key_missing,
        "EndpointConnectionError": Cause.endpoint_down,
        "ConnectTimeoutError": Cause.endpoint_down,
        "ReadTimeoutError": Cause.endpoint_down,
        "ConnectionClosedError": Cause.endpoint_down,
        "ServiceUnavailable": Cause.endpoint_down,
        "InternalError": Cause.endpoint_down,
        "SlowDown": Cause.endpoint_down,
    }
    if bare in by_code:
        return by_code[bare]
    if bare not in {"AccessDenied", "AccessDeniedException", "403"}:
        return Cause.unknown
    if step == "sts:AssumeRole":
        return Cause.role_denied
    message = str(error)
    if "kms:Decrypt" in (step, message) or "kms:Decrypt" in message:
        return Cause.decrypt_denied
    if step == "kms:GenerateDataKey" or "kms:GenerateDataKey" in message:
        return Cause.encrypt_denied
    return Cause.access_denied


def evidence(error: Exception) -> str:
    """The error's code and request id; never a body."""
    response = getattr(error, "response", {})
    code = response.get("Error", {}).get("Code", type(error).__name__)
    request = response.get("ResponseMetadata", {}).get("RequestId", "none")
    return f"{code} (request {request})"


def _bucket_first(c: Clients, bucket: str, found: Cause) -> Cause:
    """A missing bucket outranks what its key may do: it is what people must mend first."""
    try:
        c.audit_s3.head_bucket(Bucket=bucket)
    except Exception as error:  # noqa: BLE001  # the first cause stands unless this one is certain
        code = getattr(error, "response", {}).get("Error", {}).get("Code")
        return Cause.no_such_bucket if code in {"404", "NoSuchBucket"} else found
    return found


def _assume(c: Clients) -> None:
    credentials = c.audit_role.get_credentials()
    assert credentials is not None
    credentials.get_frozen_credentials()


def _data_key(c: Clients, key_id: str) -> bytes:
    return c.audit_kms.generate_data_key(KeyId=key_id, KeySpec="AES_256")["CiphertextBlob"]


def _put(c: Clients, bucket: str, key_id: str, name: str, body: bytes) -> None:
    c.audit_s3.put_object(Bucket=bucket, Key=name, Body=body, ServerSideEncryption="aws:kms", SSEKMSKeyId=key_id)


def _get(c: Clients, bucket: str, name: str) -> bytes:
    return c.audit_s3.get_object(Bucket=bucket, Key=name)["Body"].read()


def _remove(c: Clients, bucket: str, name: str) -> None:
    try:
        c.audit_s3.delete_object(Bucket=bucket, Key=name)
    except Exception as error:  # noqa: BLE001  # a canary left behind is no reason to hide the diagnosis
        print(f"the canary {name} stays behind: {evidence(error)}")
