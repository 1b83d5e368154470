import base64
import hashlib
from typing import TYPE_CHECKING

from aegis_flows.lab.aegis import settings
from aegis_flows.lab.aegis.events import Batch

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

CONNECT_SECONDS = 1
READ_SECONDS = 2


class WriteError(Exception):
    """`code` is AWS' error code, or the kind of error where AWS never answered."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Store:
    """The audit bucket. boto3 is imported at the first write: it would cost a starting pod 0.5 s."""

    def __init__(self, wanted: settings.Audit) -> None:
        self._settings = wanted
        self._client: S3Client | None = None

    def write(self, batch: Batch) -> None:
        """Puts the batch and reads it back, so kms:Decrypt must work too; one attempt; raises WriteError."""
        try:
            if self._client is None:
                self._client = _connect(self._settings)
            self._put(self._client, batch)
            found = self._client.get_object(Bucket=self._settings.bucket, Key=batch.key)["Body"].read()
        except Exception as error:  # an audit thread that dies loses events in silence
            raise WriteError(_code(error)) from error
        if found != batch.body:
            raise WriteError("ReadBackDiffers")

    def _put(self, client: "S3Client", batch: Batch) -> None:
        client.put_object(
            Bucket=self._settings.bucket,
            Key=batch.key,
            Body=batch.body,
            ContentType="application/jsonl",
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId=self._settings.kms_key_id,
            ChecksumSHA256=base64.b64encode(hashlib.sha256(batch.body).digest()).decode(),
        )


def _connect(wanted: settings.Audit) -> "S3Client":
    import boto3
    import botocore.session
    from botocore.config import Config

    session = botocore.session.get_session()
    # as the default it also holds for the call that assumes the role
    session.set_default_client_config(
        Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries={"total_max_attempts": 1})
    )
    return boto3.Session(botocore_session=session, region_name=wanted.region).client("s3")


def _code(error: Exception) -> str:
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code", type(error).__name__))
    return type(error).__name__
