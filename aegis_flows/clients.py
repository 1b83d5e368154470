"""The outside world in one value: every SDK client, built on first use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import TYPE_CHECKING, Any

from aegis_flows.settings import Settings, settings

if TYPE_CHECKING:
    import boto3
    import httpx
    from slack_sdk import WebClient
    from types_boto3_iam import IAMClient
    from types_boto3_kms import KMSClient
    from types_boto3_s3 import S3Client

TIMEOUT = 10.0
"""Seconds for any one answer."""


class Clients:
    """Imports wait for the first use: a run pays only for the systems that it touches."""

    def __init__(self, given: Settings | None = None) -> None:
        self.settings = given or settings()

    @cached_property
    def _kubernetes(self) -> Any:
        from kubernetes import config

        return config.new_client_from_config()

    @cached_property
    def apps(self) -> Any:
        from kubernetes import client

        return client.AppsV1Api(self._kubernetes)

    @cached_property
    def core(self) -> Any:
        from kubernetes import client

        return client.CoreV1Api(self._kubernetes)

    @cached_property
    def _aws(self) -> boto3.Session:
        import boto3

        return boto3.Session()

    @cached_property
    def iam(self) -> IAMClient:
        return self._aws.client("iam", config=_aws_config())

    def _as_audit_role(self) -> boto3.Session:
        """A fresh session under the service's own role: what it may not do, the canary may not do."""
        import boto3

        answer = self._aws.client("sts", config=_aws_config()).assume_role(
            RoleArn=self.settings.audit_role_arn, RoleSessionName="aegis-flows"
        )["Credentials"]
        return boto3.Session(
            aws_access_key_id=answer["AccessKeyId"],
            aws_secret_access_key=answer["SecretAccessKey"],
            aws_session_token=answer["SessionToken"],
            region_name=self._aws.region_name,
        )

    @cached_property
    def _audit(self) -> boto3.Session:
        return self._as_audit_role()

    @cached_property
    def audit_s3(self) -> S3Client:
        return self._audit.client("s3", config=_aws_config())

    @cached_property
    def audit_kms(self) -> KMSClient:
        return self._audit.client("kms", config=_aws_config())

    def _http(self, base_url: object, **headers: str) -> httpx.Client:
        import httpx

        return httpx.Client(base_url=str(base_url), headers=headers, timeout=TIMEOUT)

    @cached_property
    def service(self) -> httpx.Client:
        return self._http(self.settings.service_url)

    @cached_property
    def prometheus(self) -> httpx.Client:
        return self._http(self.settings.prometheus_url)

    @cached_property
    def alertmanager(self) -> httpx.Client:
        return self._http(self.settings.alertmanager_url)

    @cached_property
    def pagerduty(self) -> httpx.Client:
        return self._http(
            self.settings.pagerduty_url,
            Accept="application/vnd.pagerduty+json;version=2",
            Authorization=f"Token token={self.settings.pagerduty_token.get_secret_value()}",
            From=self.settings.pagerduty_from,
        )

    @cached_property
    def slack(self) -> WebClient:
        from slack_sdk import WebClient
        from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

        return WebClient(
            self.settings.slack_token.get_secret_value(),
            base_url=str(self.settings.slack_url),
            timeout=int(TIMEOUT),
            retry_handlers=[RateLimitErrorRetryHandler(max_retry_count=2)],
        )


def _aws_config() -> Any:
    """Short waits and few tries: a canary must name a dead endpoint while somebody is still reading."""
    from botocore.config import Config

    return Config(
        connect_timeout=2,
        read_timeout=TIMEOUT,
        retries={"total_max_attempts": 2},
        s3={"addressing_style": "path"},
        max_pool_connections=64,
    )


_default: Clients | None = None
_current: ContextVar[Clients | None] = ContextVar("clients", default=None)


def clients() -> Clients:
    """The clients given to `using`, else those of this process, from the settings in force."""
    global _default  # noqa: PLW0603  # one set of connections per process
    if (current := _current.get()) is not None:
        return current
    if _default is None:
        _default = Clients()
    return _default


@contextmanager
def using(replacement: Clients) -> Iterator[Clients]:
    """Within this block these clients are in force."""
    token = _current.set(replacement)
    try:
        yield replacement
    finally:
        _current.reset(token)
