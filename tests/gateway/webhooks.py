"""Webhooks as Alertmanager 0.25 sends them: `recorded/` holds two of its own."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).parent / "recorded"
BEGAN = "2026-11-23T06:20:00.123456789Z"
LATER = "2026-11-23T06:30:00Z"

Webhook = dict[str, Any]


def recorded(name: str, group: str | None = None) -> Webhook:
    """What Debian's Alertmanager 0.25 really sent; `group` puts another groupKey in."""
    webhook: Webhook = json.loads((RECORDED / f"alertmanager_0_25_{name}.json").read_text())
    return webhook | ({"groupKey": group} if group else {})


def alert(name: str, *, began: str = BEGAN, status: str = "firing", pod: str = "aegis-0", **labels: str) -> Webhook:
    entry: Webhook = deepcopy(recorded("firing")["alerts"][0])
    entry |= {"status": status, "startsAt": began, "fingerprint": f"{name}-{pod}"}
    entry["labels"] |= {"alertname": name, "pod": pod} | labels
    return entry


def webhook(group: str, *alerts: Webhook) -> Webhook:
    return recorded("firing", group) | {"alerts": list(alerts)}
