"""The outside world in one value: every SDK client, built on first use."""

from __future__ import annotations

import os
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
        from kubernetes import client, config

        class Impatient(client.ApiClient):  # type: ignore[misc]  # the client has no types
            """Without a limit of its own a request to a hung API server would wait for ever."""

            def request(self, *args: Any, _request_timeout: Any = None, **kwargs: Any) -> Any:
                return super().request(*args, _request_timeout=_request_timeout or TIMEOUT, **kwargs)

        found = client.Configuration()
        given = {"config_file": path} if (path := os.environ.get("KUBECONFIG")) else {}
        config.load_config(client_configuration=found, **given)
        return Impatient(found)

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

    @cached_property
    def audit_role(self) -> boto3.Session:
        """The service's own role: what it may not do, the canary may not do. Renews itself in a long migration."""
        import boto3
        import botocore.session
        from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

        ours = self._aws._session  # noqa: SLF001  # botocore's own assume-role provider is built from the same parts
        fetcher = AssumeRoleCredentialFetcher(
            ours.create_client,
            ours.get_credentials(),
            self.settings.audit_role_arn,
            extra_args={"RoleSessionName": "aegis-flows"},
        )
        session = botocore.session.get_session()
        session._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")  # type: ignore[attr-defined]  # noqa: SLF001
        return boto3.Session(botocore_session=session, region_name=self._aws.region_name)

    @cached_property
    def audit_s3(self) -> S3Client:
        return self.audit_role.client("s3", config=_aws_config())

    @cached_property
    def audit_kms(self) -> KMSClient:
        return self.audit_role.client("kms", config=_aws_config())

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

    @cached_property
    def slack_bot_id(self) -> str:
        """Whose messages are ours."""
        return str(self.slack.auth_test()["bot_id"])

    @cached_property
    def slack_channels(self) -> dict[str, str]:
        """Name to id of every channel that the bot can see."""
        pages = self.slack.conversations_list(limit=200)
        return {channel["name"]: channel["id"] for page in pages for channel in page["channels"]}


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
