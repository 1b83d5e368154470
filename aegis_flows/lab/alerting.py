"""The lab's Prometheus and Alertmanager: the shipped files with nothing but their times and addresses changed."""

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from aegis_flows.lab.debian import Binaries

LEAST_SECONDS = 1
LEAST_WINDOW_SECONDS = 5
"""A rate needs two samples, and the lab scrapes each second on a machine that may be busy."""

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
_DURATION = r"(?:\d+(?:ms|[smhdwy]))+"
_TIMES = {
    *("for", "keep_firing_for", "interval"),
    *("scrape_interval", "scrape_timeout", "evaluation_interval"),
    *("group_wait", "group_interval", "repeat_interval"),
}


@dataclass(frozen=True)
class Endpoints:
    """Where the lab's parts are, for Prometheus and Alertmanager."""

    discovery: str
    """URL of `aegis_flows.lab.discovery`, e.g. http://127.0.0.1:8002/pods."""
    alertmanager: str
    """Host and port."""
    gateway: str
    """URL of the webhook."""
    pagerduty: str
    """URL of the Events API v2, /v2/enqueue included."""
    secrets: Path
    """Folder of gateway_token, pagerduty_routing_key_{sre,safety} and slack_aegis_{alerts,safety}_url."""


def write(deployments: Path, folder: Path, endpoints: Endpoints, factor: float) -> None:
    """`<folder>/prometheus` and `<folder>/alertmanager` from the shipped files, their times divided by `factor`."""
    prometheus, alertmanager = folder.resolve() / "prometheus", folder.resolve() / "alertmanager"
    prometheus.mkdir(parents=True, exist_ok=True)
    alertmanager.mkdir(parents=True, exist_ok=True)
    for rules in (deployments / "prometheus").glob("*.rules.yml"):
        (prometheus / rules.name).write_text(scaled_rules(rules.read_text(), factor))
    scraping = (deployments / "prometheus/prometheus.yml").read_text()
    (prometheus / "prometheus.yml").write_text(scaled_scraping(scraping, factor, endpoints, prometheus))
    routes = (deployments / "alertmanager/alertmanager.yml").read_text()
    (alertmanager / "alertmanager.yml").write_text(scaled_routes(routes, factor, endpoints, alertmanager))
    for template in (deployments / "alertmanager").glob("*.tmpl"):
        shutil.copy(template, alertmanager)


def scaled_rules(text: str, factor: float) -> str:
    """The rules with `for`, `keep_firing_for`, `interval`, range windows and offsets divided by `factor`."""
    return _dumped(_scaled(yaml.safe_load(text), factor))


def scaled_scraping(text: str, factor: float, endpoints: Endpoints, rules: Path) -> str:
    """prometheus.yml with its intervals divided by `factor`, and the lab's rules, pods and Alertmanager."""
    config = _scaled(_moved(yaml.safe_load(text), {"/etc/prometheus/rules": rules}), factor)
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [endpoints.alertmanager]}]}]
    for scrape in config["scrape_configs"]:
        del scrape["kubernetes_sd_configs"]
        scrape["http_sd_configs"] = [{"url": endpoints.discovery, "refresh_interval": "1s"}]
    return _dumped(config)


def scaled_routes(text: str, factor: float, endpoints: Endpoints, templates: Path) -> str:
    """alertmanager.yml with its waits and intervals divided by `factor`, and the lab's addresses and secrets."""
    folders = {"/etc/alertmanager/secrets": endpoints.secrets.resolve(), "/etc/alertmanager": templates}
    config = _scaled(_moved(yaml.safe_load(text), folders), factor)
    config["global"] = config.get("global", {}) | {"pagerduty_url": endpoints.pagerduty}
    for receiver in config["receivers"]:
        for webhook in receiver.get("webhook_configs", []):
            webhook["url"] = endpoints.gateway
    return _dumped(config)


def shorter(duration: str, factor: float, least: float = LEAST_SECONDS) -> str:
    """`5m` by 30 is `10s`. Zero stays zero; anything else becomes `least` seconds or more."""
    seconds = sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)(ms|[smhdwy])", duration))
    milliseconds = round(max(seconds / factor, least) * 1000) if seconds else 0
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"


def prometheus_command(binaries: Binaries, folder: Path, port: int) -> list[str]:
    """Prometheus with the configuration that `write` left in `folder`; it keeps its data there too."""
    home = folder.resolve() / "prometheus"
    pages = [f"--web.local-assets={binaries.prometheus_pages}"] if binaries.prometheus_pages else []
    return [
        str(binaries.prometheus),
        f"--config.file={home}/prometheus.yml",
        f"--storage.tsdb.path={home}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--web.external-url=http://127.0.0.1:{port}/",
        # Alertmanager takes an alert for resolved after four of these without news. With 1 s a stall of 4 s would do.
        "--rules.alert.resend-delay=5s",
        "--scrape.discovery-reload-interval=1s",
        *pages,
    ]


def alertmanager_command(binaries: Binaries, folder: Path, port: int) -> list[str]:
    """Alertmanager, alone, with the configuration that `write` left in `folder`; it keeps its data there too."""
    home = folder.resolve() / "alertmanager"
    return [
        str(binaries.alertmanager),
        f"--config.file={home}/alertmanager.yml",
        f"--storage.path={home}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--web.external-url=http://127.0.0.1:{port}/",
        "--cluster.listen-address=",
    ]


def _scaled(tree: Any, factor: float) -> Any:
    def change(key: str, value: str) -> str:
        if key in _TIMES:
            return shorter(value, factor)
        return _shorter_expression(value, factor) if key == "expr" else value

    return _changed(tree, change)


def _shorter_expression(expression: str, factor: float) -> str:
    def window(match: re.Match[str]) -> str:
        return f"[{shorter(match[1], factor, LEAST_WINDOW_SECONDS)}]"

    def offset(match: re.Match[str]) -> str:
        return f"offset {shorter(match[1], factor)}"

    return re.sub(rf"\boffset\s+({_DURATION})", offset, re.sub(rf"\[({_DURATION})\]", window, expression))


def _moved(tree: Any, folders: Mapping[str, Path]) -> Any:
    """Paths below the shipped folders, the longest first, moved to the lab's."""

    def change(_: str, value: str) -> str:
        shipped = next((folder for folder in folders if value.startswith(f"{folder}/")), None)
        return f"{folders[shipped]}{value.removeprefix(shipped)}" if shipped else value

    return _changed(tree, change)


def _changed(tree: Any, change: Callable[[str, str], str], key: str = "") -> Any:
    """The tree with each string changed, given the key under which it stands."""
    if isinstance(tree, dict):
        return {name: _changed(value, change, name) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_changed(value, change, key) for value in tree]
    return change(key, tree) if isinstance(tree, str) else tree


def _dumped(tree: Any) -> str:
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=1000)
