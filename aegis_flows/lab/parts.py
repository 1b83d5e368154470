"""What the lab consists of: each part's command, what it needs, and how one sees that it is healthy."""

import asyncio
import secrets
import ssl
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx

from aegis_flows.lab import alerting, postgres, state
from aegis_flows.lab.debian import Binaries
from aegis_flows.lab.identities import ROLE_ARN
from aegis_flows.lab.kube.kubeconfig import write_kubeconfig
from aegis_flows.lab.register import POOL
from aegis_flows.lab.staging import NAMESPACE
from aegis_flows.lab.supervisor import Part, Ready

SCALE = 30
"""By how much the times of the shipped rules and routes are shortened."""
ON_CALL = "sam.rivera@example.com"
AUTOMATION = "automation@example.com"
PEOPLE = (f"Aegis automation <{AUTOMATION}>", f"Sam Rivera <{ON_CALL}>", "Noor Haddad <noor.haddad@example.com>")
WORKER = "lab"
QUICK_WORKER = {"PREFECT_WORKER_QUERY_SECONDS": "0.5", "PREFECT_WORKER_ENABLE_CANCELLATION": "true"}
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Every part speaks plain HTTP; to read the system's certificates takes 30 ms, at each look."""
SECRETS = (
    "kubernetes_token", "gateway_token", "pagerduty_token", "slack_token",
    "pagerduty_routing_key_sre", "pagerduty_routing_key_safety",
)  # fmt: skip


@dataclass(frozen=True)
class Lab:
    """Where this lab lives: its state folder, ports, and the checkout whose flows it runs."""

    folder: Path
    repository: Path
    ports: Mapping[str, int]
    binaries: Binaries

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text()


def prepare(lab: Lab) -> None:
    """Secrets, kubeconfig and the scaled copies of the shipped alerting, below the state folder."""
    folder = lab.folder / "secrets"
    folder.mkdir(mode=0o700, parents=True)
    values = {name: secrets.token_hex(16) for name in SECRETS}
    values |= {
        f"slack_{c}_url": f"{lab.url('slack')}/services/T0LAB/{c}/{secrets.token_hex(12)}"
        for c in ("aegis_alerts", "aegis_safety")
    }
    for name, value in values.items():
        (folder / name).write_text(value)
        (folder / name).chmod(0o600)
    for name in ("logs", "buffer", "kube", "prefect-home"):
        (lab.folder / name).mkdir()
    write_kubeconfig(lab.folder / "kubeconfig", lab.url("kubernetes"), values["kubernetes_token"], NAMESPACE)
    alerting.write(lab.repository / "deployments", lab.folder, _endpoints(lab), SCALE)


def environment(lab: Lab) -> dict[str, str]:
    """What flows, the worker and the command line need to find this lab."""
    return {
        "AEGIS_LAB": str(lab.folder),
        "AEGIS_ENVIRONMENT": "staging",
        "AEGIS_NAMESPACE": NAMESPACE,
        "AEGIS_SERVICE_URL": f"{lab.url('aegis')}/",
        "AEGIS_PROMETHEUS_URL": f"{lab.url('prometheus')}/",
        "AEGIS_ALERTMANAGER_URL": f"{lab.url('alertmanager')}/",
        "AEGIS_PAGERDUTY_URL": f"{lab.url('pagerduty')}/",
        "AEGIS_PAGERDUTY_TOKEN": lab.secret("pagerduty_token"),
        "AEGIS_PAGERDUTY_FROM": AUTOMATION,
        "AEGIS_SLACK_URL": f"{lab.url('slack')}/api/",
        "AEGIS_SLACK_TOKEN": lab.secret("slack_token"),
        "AEGIS_AUDIT_ROLE_ARN": ROLE_ARN,
        "AEGIS_AUDIT_BUFFER": str(lab.folder / "buffer"),
        "AEGIS_DIRECTORY": str(lab.repository / "deployments/directory.yaml"),
        "AEGIS_APPROVAL_SECONDS": "60",
        "AEGIS_SETTLE_SECONDS": "12",  # Prometheus finds a new pod within 6 s: quiet for less might be unseen
        "AEGIS_VERIFY_SECONDS": "60",
        "AEGIS_MIGRATION_DELAY_SECONDS": "10",
        "KUBECONFIG": str(lab.folder / "kubeconfig"),
        "AWS_CONFIG_FILE": str(lab.folder / "aws/flows.config"),
        "AWS_PROFILE": "flows",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PREFECT_API_URL": f"{lab.url('prefect')}/api",
        "PREFECT_UI_URL": lab.url("prefect"),
        "PREFECT_HOME": str(lab.folder / "prefect-home"),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


def parts(lab: Lab) -> list[Part]:
    """Everything, each part with what it needs."""
    env = environment(lab)
    return [*_stand_ins(lab), *_alerting(lab), *_prefect(lab, env), *_traffic(lab), _responder(lab, env)]


def _stand_ins(lab: Lab) -> list[Part]:
    keys = [f"{team}={lab.secret(f'pagerduty_routing_key_{team}')}" for team in ("sre", "safety")]
    routing = [word for key in keys for word in ("--routing-key", key)]
    users = [word for user in PEOPLE for word in ("--user", user)]
    hooks = ("--webhook", "aegis_alerts=#aegis-alerts", "--webhook", "aegis_safety=#aegis-safety")
    folder = lab.folder
    return [
        _server(lab, "aws", "aegis_flows.lab.aws", path="/moto-api/"),
        _server(lab, "kubernetes", "aegis_flows.lab.kube", "--folder", str(folder / "kube"),
                "--token-file", str(folder / "secrets/kubernetes_token"), path="/readyz"),
        _server(lab, "discovery", "aegis_flows.lab.discovery", "--kubernetes", lab.url("kubernetes"),
                "--token-file", str(folder / "secrets/kubernetes_token")),
        _server(lab, "opensearch", "aegis_flows.lab.search", path="/"),
        _server(lab, "slack", "aegis_flows.lab.slack", "--token", lab.secret("slack_token"), *hooks),
        _server(lab, "pagerduty", "aegis_flows.lab.pagerduty", "--token", lab.secret("pagerduty_token"),
                *routing, *users),
    ]  # fmt: skip


def _alerting(lab: Lab) -> list[Part]:
    commands = {
        "prometheus": alerting.prometheus_command(lab.binaries, lab.folder, lab.ports["prometheus"]),
        "alertmanager": alerting.alertmanager_command(lab.binaries, lab.folder, lab.ports["alertmanager"]),
    }
    return [Part(name, tuple(argv), _answers(f"{lab.url(name)}/-/ready")) for name, argv in commands.items()]


def _prefect(lab: Lab, env: dict[str, str]) -> list[Part]:
    data, port = lab.folder / "postgres", lab.ports["postgres"]
    server = env | {
        "PREFECT_API_DATABASE_CONNECTION_URL": postgres.url(data, port),
        "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",
        "PREFECT_SERVER_UI_API_URL": f"{lab.url('prefect')}/api",
    }
    uvicorn = ("uvicorn", "--factory", "prefect.server.api.server:create_app", "--host", "127.0.0.1")
    worker = ("prefect", "worker", "start", "--pool", POOL, "--name", WORKER, "--type", "process")
    gateway = ("aegis_flows.gateway", "--port", str(lab.ports["gateway"]))
    return [
        Part("postgres", tuple(postgres.command(lab.binaries, data, port)), _database(lab), stop=postgres.STOP_SIGNAL,
             leash=False),
        Part("prefect", _module(*uvicorn, "--port", str(lab.ports["prefect"]), "--log-level", "warning"),
             _answers(f"{lab.url('prefect')}/api/health"), needs=("postgres",), env=server, restarts=True),
        Part("register", _module("aegis_flows.lab.register", "--repository", str(lab.repository)), needs=("prefect",),
             env=env, once=True),
        Part("worker", _module(*worker), _takes_runs(lab), needs=("register",), env=env | QUICK_WORKER, restarts=True),
        Part("gateway", _module(*gateway), _answers(f"{lab.url('gateway')}/ready"), needs=("prefect",),
             env=env | {"AEGIS_GATEWAY_TOKEN": lab.secret("gateway_token")}, restarts=True),
    ]  # fmt: skip


def _traffic(lab: Lab) -> list[Part]:
    where = [word for name in ("aws", "kubernetes", "opensearch") for word in (f"--{name}", lab.url(name))]
    rest = ("--service", lab.url("aegis"), "--node-port", str(lab.ports["aegis"]), "--folder", str(lab.folder))
    seeded = ("aws", "kubernetes", "opensearch")
    return [
        Part("staging", _module("aegis_flows.lab.staging", *where, *rest), needs=seeded, once=True),
        Part("traffic", _module("aegis_flows.lab.traffic", "--url", lab.url("aegis")), needs=("staging",)),
    ]


def _responder(lab: Lab, env: Mapping[str, str]) -> Part:
    who = ("--who", ON_CALL, "--off", str(state.off_switch(lab.folder)))
    needs = ("register", "pagerduty")
    return Part("responder", _module("aegis_flows.lab.responder", *who), needs=needs, env=env, restarts=True)


def _module(name: str, *words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *words)


def _server(lab: Lab, part: str, module: str, *words: str, path: str = "/health") -> Part:
    argv = _module(module, "--port", str(lab.ports[part]), *words)
    return Part(part, argv, _answers(f"{lab.url(part)}{path}"))


def _answers(url: str) -> Ready:
    """Healthy is what answers with success."""
    return _asking(lambda http: http.get(url), lambda answer, _: answer.is_success)


def _takes_runs(lab: Lab) -> Ready:
    """Healthy is a worker that has reported to Prefect since it was started: it polls from then on.

    The worker's own --with-healthcheck answers before it has seen its work pool.
    """

    def reported(answer: httpx.Response, began: datetime) -> bool:
        found = answer.json() if answer.is_success else []
        return any(w["name"] == WORKER and datetime.fromisoformat(w["last_heartbeat_time"]) > began for w in found)

    url = f"{lab.url('prefect')}/api/work_pools/{POOL}/workers/filter"
    return _asking(lambda http: http.post(url, json={}), reported)


def _asking(
    ask: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]], healthy: Callable[[httpx.Response, datetime], bool]
) -> Ready:
    async def ready(began: datetime) -> bool:
        async with httpx.AsyncClient(timeout=2, trust_env=False, verify=NO_CERTIFICATES) as http:
            try:
                return healthy(await ask(http), began)
            except httpx.TransportError:
                return False

    return ready


def _database(lab: Lab) -> Ready:
    async def ready(_: datetime) -> bool:
        return await asyncio.to_thread(postgres.ready, lab.binaries, lab.ports["postgres"])

    return ready


def _endpoints(lab: Lab) -> alerting.Endpoints:
    return alerting.Endpoints(
        discovery=f"{lab.url('discovery')}/pods",
        alertmanager=f"127.0.0.1:{lab.ports['alertmanager']}",
        gateway=f"{lab.url('gateway')}/alerts",
        pagerduty=f"{lab.url('pagerduty')}/v2/enqueue",
        secrets=lab.folder / "secrets",
    )
