import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from aegis_flows.lab import alerting
from aegis_flows.lab.debian import Binaries
from aegis_flows.lab.loopback import serving
from tests.deployments import shipped
from tests.lab.processes import answers, free_port, running, wait_until

GATEWAY = "http://aegis-gateway.aegis-flows.svc.cluster.local:8080/alerts"
TIMES = re.compile(r"^(for|keep_firing_for|.*interval|scrape_timeout|group_wait)$")
WINDOW = re.compile(r"\[\w+\]|offset \w+")


@pytest.mark.parametrize(
    ("duration", "factor", "least", "scaled"),
    [
        ("5m", 30, 1, "10s"),
        ("1d", 30, 1, "2880s"),
        ("1h30m", 30, 1, "180s"),
        ("15s", 30, 1, "1s"),
        ("2m", 30, 5, "5s"),
        ("10s", 4, 1, "2500ms"),
        ("1500ms", 1, 1, "1500ms"),
        ("0s", 30, 1, "0s"),
    ],
)
def test_durations_shrink_but_not_to_nothing(duration: str, factor: float, least: float, scaled: str) -> None:
    """A duration is divided, has a least, and zero ("at once") stays zero."""
    assert alerting.shorter(duration, factor, least) == scaled


def test_windows_and_offsets_shrink_and_thresholds_do_not() -> None:
    """In an expression only range windows (5 s at least) and offsets change."""
    expression = "rate(a_total[5m]) > 0.5 unless rate(a_total[1m] offset 1h) <= 3 * b30 and c{d=~'5m'} > 300"
    text = yaml.safe_dump({"groups": [{"name": "g", "interval": "1m", "rules": [{"expr": expression, "for": "2m"}]}]})
    (group,) = yaml.safe_load(alerting.scaled_rules(text, 30))["groups"]
    assert group["interval"] == "2s"
    assert group["rules"] == [
        {
            "expr": "rate(a_total[10s]) > 0.5 unless rate(a_total[5s] offset 120s) <= 3 * b30 and c{d=~'5m'} > 300",
            "for": "4s",
        }
    ]


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """The folder that `write` fills."""
    alerting.write(shipped.DEPLOYMENTS, tmp_path, shipped.ENDPOINTS, shipped.FACTOR)
    return tmp_path


def test_the_labs_rules_are_the_shipped_ones_but_for_times(lab: Path) -> None:
    """With every time masked, the two files hold the same."""
    ours = yaml.safe_load((lab / "prometheus/aegis.rules.yml").read_text())
    assert masked(ours) == masked(shipped.loaded(shipped.RULES))


def test_the_labs_routes_are_the_shipped_ones_but_for_times_and_endpoints(lab: Path) -> None:
    """With times masked, the rest of the difference is five addresses; the templates are the same bytes."""
    ours, theirs = yaml.safe_load((lab / "alertmanager/alertmanager.yml").read_text()), shipped.loaded(shipped.ROUTES)
    assert ours.pop("global") == {"pagerduty_url": shipped.ENDPOINTS.pagerduty}
    assert ours.pop("templates") == [f"{lab}/alertmanager/*.tmpl"]
    assert theirs.pop("templates") == ["/etc/alertmanager/*.tmpl"]
    hooks = [
        hook for c in (ours, theirs) for receiver in c["receivers"] for hook in receiver.get("webhook_configs", [])
    ]
    assert {hook["url"] for hook in hooks} == {shipped.ENDPOINTS.gateway, GATEWAY}
    for hook in hooks:
        hook["url"] = "a gateway"
    moved = yaml.safe_load(yaml.safe_dump(ours).replace("/nowhere/secrets/", "/etc/alertmanager/secrets/"))
    assert masked(moved) == masked(theirs)
    template = "alertmanager/aegis.tmpl"
    assert (lab / template).read_bytes() == (shipped.DEPLOYMENTS / template).read_bytes()


def test_the_labs_scraping_is_the_shipped_one_but_for_times_and_endpoints(lab: Path) -> None:
    """Only intervals, the rules' folder, Alertmanager's address and the way pods are found differ."""
    ours, theirs = yaml.safe_load((lab / "prometheus/prometheus.yml").read_text()), shipped.loaded(shipped.SCRAPING)
    assert ours.pop("rule_files") == [f"{lab}/prometheus/*.rules.yml"]
    assert theirs.pop("rule_files") == ["/etc/prometheus/rules/*.rules.yml"]
    assert ours.pop("alerting") == {"alertmanagers": [{"static_configs": [{"targets": ["127.0.0.1:9"]}]}]}
    assert theirs.pop("alerting").keys() == {"alertmanagers"}
    assert ours["scrape_configs"][0].pop("http_sd_configs") == [
        {"url": "http://127.0.0.1:9/pods", "refresh_interval": "1s"}
    ]
    assert theirs["scrape_configs"][0].pop("kubernetes_sd_configs") == [{"role": "pod"}]
    assert ours["global"] == {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    assert masked(ours) == masked(theirs)


def masked(tree: Any) -> Any:
    """The tree with its times replaced by a word."""
    if isinstance(tree, list):
        return [masked(value) for value in tree]
    if not isinstance(tree, dict):
        return tree
    return {
        key: "a time" if TIMES.match(key) else WINDOW.sub("a window", value) if key == "expr" else masked(value)
        for key, value in tree.items()
    }


@dataclass(frozen=True)
class World:
    """A cluster of one pod whose audit writes fail, and what Prometheus told Alertmanager about it."""

    alerts: list[dict[str, Any]] = field(default_factory=list)
    errors: Iterator[int] = field(default_factory=count)

    def app(self) -> Starlette:
        async def pods(request: Request) -> JSONResponse:
            assert request.headers["Authorization"] == "Bearer token"
            annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": str(request.url.port)}
            shy = {"metadata": {"name": "shy", "namespace": "n"}, "status": {"podIP": "127.0.0.9", "phase": "Running"}}
            seen = {
                "metadata": {"name": "aegis-1", "namespace": "n", "annotations": annotations},
                "status": {"podIP": "127.0.0.1", "phase": "Running"},
            }
            return JSONResponse({"items": [shy, seen]})

        async def metrics(_: Request) -> PlainTextResponse:
            return PlainTextResponse(f'aegis_audit_write_errors_total{{code="NoSuchBucket"}} {next(self.errors)}\n')

        async def told(request: Request) -> JSONResponse:
            self.alerts.extend(await request.json())
            return JSONResponse({})

        routes = [Route("/api/v1/pods", pods), Route("/metrics", metrics)]
        return Starlette(routes=[*routes, Route("/api/v2/alerts", told, methods=["POST"])])


def test_a_pods_errors_reach_alertmanager(binaries: Binaries, tmp_path: Path) -> None:
    """Prometheus finds the pod through Kubernetes, fires the shipped rule, and names the namespace but no pod."""
    world = World()
    with serving(world.app()) as cluster, discovered(cluster, tmp_path) as pods:
        address = cluster.removeprefix("http://")
        alerting.write(
            shipped.DEPLOYMENTS, tmp_path, replace(shipped.ENDPOINTS, discovery=pods, alertmanager=address), 30
        )
        port = free_port()
        command = alerting.prometheus_command(binaries, tmp_path, port)
        with running(command, lambda: answers(f"http://127.0.0.1:{port}/-/ready")):
            wait_until(lambda: any(a["labels"]["alertname"] == "AegisAuditWriteFailures" for a in world.alerts), 30)
            (target,) = httpx.get(f"http://127.0.0.1:{port}/api/v1/targets").json()["data"]["activeTargets"]
    assert target["labels"] == {"job": "pods", "namespace": "n", "pod": "aegis-1", "instance": address}
    (rule,) = [rule for rule in shipped.alerts() if rule["alert"] == "AegisAuditWriteFailures"]
    alert = next(a for a in world.alerts if a["labels"]["alertname"] == "AegisAuditWriteFailures")
    assert alert["labels"] == rule["labels"] | {"alertname": "AegisAuditWriteFailures", "namespace": "n"}
    assert alert["generatorURL"].startswith(f"http://127.0.0.1:{port}/graph")


@contextmanager
def discovered(cluster: str, folder: Path) -> Iterator[str]:
    """The URL at which the lab's discovery describes the cluster's pods."""
    (folder / "token").write_text("token")
    port = free_port()
    flags = ["--port", str(port), "--kubernetes", cluster, "--token-file", str(folder / "token")]
    command = [sys.executable, "-m", "aegis_flows.lab.discovery", *flags]
    with running(command, lambda: answers(f"http://127.0.0.1:{port}/health")):
        yield f"http://127.0.0.1:{port}/pods"
