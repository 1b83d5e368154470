"""Rules of AWS that moto 5.2 leaves out, added to it in this process.

- A key that is disabled or waits for its deletion encrypts and decrypts nothing, directly or for S3.
- The caller of S3 needs kms:GenerateDataKey to put an object with SSE-KMS, and kms:Decrypt to get one.
- A direct KMS call is judged on the key's ARN (moto judges it on "*", so no policy naming a key ever matches).
- Errors carry the codes that AWS sends; moto answers some denials with an empty body, which clients read as "403".

Not covered: copies, multipart uploads and checksums under SSE-KMS; key policies; grants.
"""

import base64
import functools
import json
import struct
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar

from moto import settings
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.common_types import TYPE_RESPONSE
from moto.core.exceptions import (
    AccessDeniedError,
    InvalidClientTokenIdError,
    JsonRESTError,
    SignatureDoesNotMatchError,
)
from moto.core.request import Request
from moto.core.responses import BaseResponse
from moto.iam.access_control import IAMPolicy, PermissionResult, create_access_key
from moto.kms.models import Key, KmsBackend, kms_backends
from moto.kms.responses import KmsResponse
from moto.kms.utils import _deserialize_ciphertext_blob as parsed_ciphertext
from moto.s3.exceptions import MissingBucket, S3AccessDeniedError, S3ClientError
from moto.s3.responses import ACTION_MAP, S3Response

T = TypeVar("T")
KMS_CODES = {
    "InvalidClientTokenId": "UnrecognizedClientException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
}


class Problem(NamedTuple):
    code: str
    message: str


def install() -> None:
    """Changes moto's classes; call once, before the first request."""
    ACTION_MAP["BUCKET"]["HEAD"]["DEFAULT"] = "ListBucket"  # IAM knows no action HeadBucket
    _around(S3Response, "_authenticate_and_authorize_s3_action", _authorize_s3)
    _around(S3Response, "_key_response", _answer_about_key)
    _around(S3Response, "put_object", _put_object)
    _around(S3Response, "get_object", _get_object)
    _around(KmsResponse, "_authenticate_and_authorize_normal_action", _authorize_kms)
    _around(KmsBackend, "encrypt", _encrypt)
    _around(KmsBackend, "decrypt", _decrypt)
    for name in ("enable_key", "disable_key", "schedule_key_deletion", "cancel_key_deletion"):
        _around(KmsBackend, name, _change_state)
    KmsResponse._determine_resource = _key_arn  # type: ignore[attr-defined]  # noqa: SLF001  (moto's own hook)


def key_problem(state: str, arn: str) -> Problem | None:
    """Why a key in this state serves nobody; codes as direct KMS calls answer them (S3 puts `KMS.` before)."""
    if state == "Disabled":
        return Problem("DisabledException", f"{arn} is disabled.")
    if state != "Enabled":
        return Problem("KMSInvalidStateException", f"{arn} is pending deletion.")
    return None


def verdict(policies: Iterable[Any], action: str, resource: str) -> PermissionResult:
    """An explicit deny in any policy wins; NEUTRAL means that no policy allows."""
    results = {IAMPolicy(policy).is_action_permitted(action, resource) for policy in policies}
    ranked = (PermissionResult.DENIED, PermissionResult.PERMITTED)
    return next((result for result in ranked if result in results), PermissionResult.NEUTRAL)


def refusal(result: PermissionResult, principal: str, action: str, resource: str) -> str:
    """AWS' own sentence: it tells an explicit deny from a missing allow."""
    because = f"because no identity-based policy allows the {action} action"
    if result is PermissionResult.DENIED:
        because = "with an explicit deny in an identity-based policy"
    return f"User: {principal} is not authorized to perform: {action} on resource: {resource} {because}"


def _around(owner: type, name: str, replacement: Callable[..., T]) -> None:
    """The replacement gets the original method as its first argument."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def method(*arguments: object, **options: object) -> T:
        return replacement(original, *arguments, **options)

    setattr(owner, name, method)


def _enforced() -> bool:
    return ActionAuthenticatorMixin.request_count >= settings.INITIAL_NO_AUTH_ACTION_COUNT


def _denial(response: BaseResponse, action: str, resource: str) -> str | None:
    """AWS' sentence if the request's caller may not do this, else None."""
    caller = create_access_key(response.current_account, response.partition, response.access_key, response.headers)
    result = verdict(caller.collect_policies(), action, resource)
    return None if result is PermissionResult.PERMITTED else refusal(result, caller.arn, action, resource)


def _find_key(account: str, region: str, key_id: str) -> tuple[str, Key | None]:
    """The ARN and the key behind an id, an ARN, an alias or an alias' ARN; a key that does not exist has an ARN too."""
    backend: KmsBackend = kms_backends[account][region]
    alias = backend.get_alias_name(key_id)
    found = backend.get_key_id_from_alias(alias) if alias.startswith("alias/") else backend.get_key_id(key_id)
    if key := backend.keys.get(found or ""):
        return key.arn, key
    name = alias if alias.startswith("alias/") else f"key/{found}"
    return f"arn:aws:kms:{region}:{account}:{name}", None


# S3


def _authorize_s3(
    original: Callable[..., None], self: S3Response, bucket_name: str | None = None, key_name: str | None = None
) -> None:
    if _enforced() and "Authorization" not in self.headers:
        raise S3AccessDeniedError
    try:
        original(self, bucket_name, key_name)
    except S3AccessDeniedError:
        # S3 looks the bucket up before it looks at permissions
        if bucket_name and bucket_name not in self.backend.buckets and self.data["Action"] != "CreateBucket":
            raise MissingBucket(bucket_name) from None
        raise


def _answer_about_key(
    original: Callable[..., TYPE_RESPONSE], self: S3Response, request: Request, full_url: str
) -> TYPE_RESPONSE:
    answer = original(self, request, full_url)
    if answer[0] == HTTPStatus.FORBIDDEN and not answer[2] and request.method != "HEAD":
        raise S3AccessDeniedError
    return answer


def _put_object(original: Callable[..., T], self: S3Response) -> T:
    bucket = self.backend.get_bucket(self.bucket_name)
    key_id = self.headers.get("x-amz-server-side-encryption-aws-kms-key-id")
    if not key_id and bucket.encryption:
        key_id = bucket.encryption["Rule"]["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID")
    _require_key(self, "kms:GenerateDataKey", key_id)
    return original(self)


def _get_object(original: Callable[..., T], self: S3Response) -> T:
    version = self.querystring.get("versionId", [None])[0]
    found = self.backend.get_object(self.bucket_name, self.parse_key_name(), version_id=version)
    _require_key(self, "kms:Decrypt", found.kms_key_id if found else None)
    return original(self)


def _require_key(response: S3Response, action: str, key_id: str | None) -> None:
    """Raises what S3 answers if its caller cannot use the key; no key id means SSE-S3 or AWS' own key."""
    if not key_id:
        return
    region = response.backend.get_bucket(response.bucket_name).region_name
    arn, key = _find_key(response.current_account, region, key_id)
    if _enforced() and (sentence := _denial(response, action, arn)):
        raise S3ClientError("AccessDenied", sentence)
    if key is None:
        raise S3ClientError("KMS.NotFoundException", f"Key '{arn}' does not exist")
    if problem := key_problem(key.key_state, arn):
        raise S3ClientError(f"KMS.{problem.code}", problem.message)


# KMS


def _key_arn(self: KmsResponse) -> str:
    """The resource on which moto judges the call: the key that the request or its ciphertext names."""
    request = json.loads(self.body or "{}")
    key_id = request.get("KeyId") or _ciphertext_key(base64.b64decode(request.get("CiphertextBlob", "")))
    return _find_key(self.current_account, self.region, key_id)[0] if key_id else "*"


def _ciphertext_key(blob: bytes) -> str | None:
    try:
        found: str = parsed_ciphertext(blob).key_id
    except (struct.error, UnicodeDecodeError):
        return None  # moto itself answers InvalidCiphertextException
    return found


def _authorize_kms(original: Callable[..., None], self: KmsResponse, resource: str) -> None:
    """Moto sends XML here, which a KMS client cannot read."""
    if _enforced() and "Authorization" not in self.headers:
        raise JsonRESTError("MissingAuthenticationTokenException", "Missing Authentication Token")
    try:
        original(self, resource)
    except AccessDeniedError:
        sentence = _denial(self, f"kms:{self._get_action()}", resource)
        raise JsonRESTError("AccessDeniedException", sentence or "") from None
    except (InvalidClientTokenIdError, SignatureDoesNotMatchError) as error:
        raise JsonRESTError(KMS_CODES[error.error_type], error.message) from None


def _encrypt(original: Callable[..., T], self: KmsBackend, key_id: str, **options: object) -> T:
    _require_usable(_find_key(self.account_id, self.region_name, key_id)[1])
    return original(self, key_id=key_id, **options)


def _decrypt(original: Callable[..., T], self: KmsBackend, ciphertext_blob: bytes, **options: object) -> T:
    _require_usable(self.keys.get(_ciphertext_key(ciphertext_blob) or ""))
    return original(self, ciphertext_blob=ciphertext_blob, **options)


def _require_usable(key: Key | None) -> None:
    """A key that does not exist is left to moto's own answer."""
    if key and (problem := key_problem(key.key_state, key.arn)):
        raise JsonRESTError(problem.code, problem.message)


def _change_state(original: Callable[..., T], self: KmsBackend, key_id: str, *arguments: object) -> T:
    """Moto looks only for the raw id here, and would enable a key that waits for its deletion."""
    key_id = self.get_key_id(key_id)
    key = self.keys[key_id]
    if key.key_state == "PendingDeletion" and original.__name__ != "cancel_key_deletion":
        raise JsonRESTError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
    return original(self, key_id, *arguments)
