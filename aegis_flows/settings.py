"""Where everything is and who we are there. Every value comes from an environment variable `AEGIS_<NAME>`."""

from functools import cache
from pathlib import Path

from pydantic import Field, HttpUrl, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from aegis_flows.errors import BadInput


class Settings(BaseSettings):
    """Kubernetes and AWS are found as kubectl and aws find them: KUBECONFIG, AWS_PROFILE, AWS_ENDPOINT_URL."""

    model_config = SettingsConfigDict(env_prefix="AEGIS_", frozen=True, env_ignore_empty=True)

    environment: str = Field("unknown", description="What this target is; faults are allowed only in `staging`.")
    namespace: str = Field("aegis-staging", description="Kubernetes namespace of the service.")
    deployment: str = Field("aegis", description="Kubernetes Deployment of the service; its container has this name.")

    service_url: HttpUrl = Field(description="Aegis itself, for /health.")
    prometheus_url: HttpUrl = Field(description="Prometheus' HTTP API.")
    alertmanager_url: HttpUrl = Field(description="Alertmanager's HTTP API.")

    pagerduty_url: HttpUrl = Field(HttpUrl("https://api.pagerduty.com"), description="PagerDuty's REST API.")
    pagerduty_token: SecretStr = Field(description="PagerDuty REST API key.")
    pagerduty_from: str = Field(description="E-mail of the PagerDuty user under which automation acts.")

    slack_url: HttpUrl = Field(HttpUrl("https://slack.com/api/"), description="Slack's Web API.")
    slack_token: SecretStr = Field(description="Slack bot token with chat:write and channels:history.")
    slack_channel: str = Field("#aegis-alerts", description="Where plans and outcomes are announced.")

    audit_role_arn: str = Field(description="IAM role under which Aegis writes audit events; the canary assumes it.")
    audit_buffer: Path = Field(description="Folder of the fallback buffer: the volume that Aegis' pods write to.")

    directory: Path = Field(Path("deployments/directory.yaml"), description="People, teams and owners.")

    approval_seconds: int = Field(900, ge=5, description="How long a plan waits for a yes before it expires as a no.")
    settle_seconds: float = Field(60, gt=0, description="How long errors must be absent to count as stopped.")
    verify_seconds: float = Field(900, gt=0, description="How long a mitigation may take to show its effect.")
    migration_delay_seconds: float = Field(900, ge=5, description="From a fallback to the first try to migrate.")
    migration_tries: int = Field(96, ge=1, description="Tries before people are told that the backend stays away.")


@cache
def settings() -> Settings:
    """The settings in force; read once per process."""
    try:
        return Settings()  # the required ones come from the environment
    except ValidationError as error:
        names = [f"AEGIS_{'_'.join(map(str, e['loc'])).upper()} ({e['msg'].lower()})" for e in error.errors()]
        raise BadInput(
            f"Settings are missing or wrong: {', '.join(names)}.",
            advice="Set these environment variables (README, “A real staging”), or start the lab: aegis lab up.",
        ) from None
