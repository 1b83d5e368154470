"""Alertmanager's webhook (version 4) into incidents. Pure: bytes in, values out."""

import re
from collections import defaultdict
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from aegis_flows.domain import Alert, Incident, Value, dedup_key
from aegis_flows.errors import BadInput

LONGEST_VALUE = 1024  # characters kept of a label's value; Prefect refuses parameters over 512 KiB
MOST_FIELDS = 20  # fields named in one refusal

_TEMPLATE_OPENS = re.compile(r"\{(?=[{%#])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

_RFC_3339 = "must be a time in RFC 3339 with its zone, e.g. 2026-11-23T06:20:00Z"
_REMEDIES = {
    "missing": "is missing; Alertmanager's webhook of version 4 always carries it",
    "datetime_type": _RFC_3339,
    "datetime_parsing": _RFC_3339,
    "datetime_from_date_parsing": _RFC_3339,
    "timezone_aware": _RFC_3339,
}


class BadField(Value):
    """One field of a request that is wrong, and what it should be."""

    field: str
    problem: str


class Malformed(BadInput):
    """The body is no Alertmanager webhook; `fields` says where. Carries nothing of the payload's values."""

    def __init__(self, fields: tuple[BadField, ...]) -> None:
        super().__init__(
            f"The body is not an Alertmanager webhook of version 4; wrong: {', '.join(bad.field for bad in fields)}.",
            advice="Correct these fields; only Alertmanager's webhook_configs should point to this address.",
        )
        self.fields = fields


def _some(alerts: tuple[Alert, ...]) -> tuple[Alert, ...]:
    if not alerts:
        raise PydanticCustomError("no_alerts", "is empty; a webhook carries at least one alert")
    return alerts


def _named(labels: dict[str, str]) -> dict[str, str]:
    if not labels.get("alertname"):
        raise PydanticCustomError("no_alertname", "is missing or empty; every alert needs a name to find its playbook")
    return labels


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("datetime_parsing", "is outside the calendar") from None


class NamedAlert(Alert):
    """An alert with a name, and a start that can be compared."""

    labels: Annotated[dict[str, str], AfterValidator(_named)]
    starts_at: Annotated[AwareDatetime, AfterValidator(_utc)] = Field(alias="startsAt", strict=True)


class Webhook(Value):
    """What the gateway needs of Alertmanager's webhook; the other fields are ignored."""

    version: Literal["4"] = "4"
    group_key: str = Field(alias="groupKey", min_length=1)
    truncated_alerts: int = Field(0, alias="truncatedAlerts", description="Alerts cut off by max_alerts.")
    alerts: Annotated[tuple[NamedAlert, ...], AfterValidator(_some)]

    model_config = ConfigDict(frozen=True, extra="ignore")

    @property
    def dedup_key(self) -> str:
        return dedup_key(self.group_key)


class Firing(Value):
    """An incident, and the latest start among its firing alerts: up to there one playbook run answers for all."""

    incident: Incident
    latest: datetime


def read(body: bytes) -> Webhook:
    """The webhook in `body`. Raises Malformed, naming each wrong field."""
    try:
        return Webhook.model_validate_json(body)
    except ValidationError as e:
        errors = e.errors(include_url=False, include_context=False, include_input=False)
        raise Malformed(tuple(_bad_field(error) for error in errors[:MOST_FIELDS])) from None


def firing(webhook: Webhook) -> tuple[Firing, ...]:
    """One incident for each alert name that fires, in the order of names; what is resolved is left out."""
    named: defaultdict[str, list[NamedAlert]] = defaultdict(list)
    for alert in webhook.alerts:
        if alert.status == "firing":
            named[alert.labels["alertname"]].append(alert)
    return tuple(_firing(name, webhook.dedup_key, alerts) for name, alerts in sorted(named.items()))


def neutral(text: str) -> str:
    """`text` that no template engine renders and no log line or database breaks on (FACTS: template injection)."""
    return _CONTROL.sub(" ", _TEMPLATE_OPENS.sub("{ ", text[:LONGEST_VALUE]))


def _firing(name: str, key: str, alerts: list[NamedAlert]) -> Firing:
    starts = [alert.starts_at for alert in alerts]
    incident = Incident(
        alertname=name,
        dedup_key=key,
        starts_at=min(starts),
        labels=_common_labels(alerts),
        fingerprints=sorted({neutral(alert.fingerprint) for alert in alerts if alert.fingerprint}),
    )
    return Firing(incident=incident, latest=max(starts))


def _common_labels(alerts: list[NamedAlert]) -> dict[str, str]:
    """Labels that all `alerts` share. Names with `__` are internal to Prometheus; `__prefect_kind` is a trap."""
    common = set.intersection(*(set(alert.labels.items()) for alert in alerts))
    return {neutral(name): neutral(value) for name, value in sorted(common) if not name.startswith("__")}


def _bad_field(error: ErrorDetails) -> BadField:
    path = (*error["loc"], "alertname") if error["type"] == "no_alertname" else error["loc"]
    return BadField(field=_path(path), problem=_REMEDIES.get(error["type"], error["msg"]))


def _path(parts: tuple[int | str, ...]) -> str:
    """`("alerts", 0, "labels")` → `alerts[0].labels`; a strange key of the sender's is not repeated."""
    path = "".join(f"[{p}]" if isinstance(p, int) else f".{p if _LABEL_NAME.fullmatch(p) else '?'}" for p in parts)
    return path.removeprefix(".") or "body"
