"""Prometheus: raw samples by its own clock, and its alerts."""

from datetime import UTC, datetime
from typing import Any

from aegis_flows.clients import Clients
from aegis_flows.errors import Unreachable
from aegis_flows.operation import Operation, command, operation
from aegis_flows.samples import Series, first_increase, last_increase
from tasks.kinds import probe


@probe("samples of {selector}")
@operation
def samples(selector: str, since: datetime) -> Operation[list[Series]]:
    """Every sample scraped since then, a series per label set; times are Prometheus' own, in milliseconds."""
    return Operation(
        shell=_curl("query", f"{selector}[{_seconds(since)}s]"),
        run=lambda c: [_series(r, since) for r in _query(c, f"{selector}[{_seconds(since)}s]")],
    )


@probe("value of {query}")
@operation
def value(query: str) -> Operation[float | None]:
    """The single value of an instant query, None where it has no series."""
    return Operation(shell=_curl("query", query), run=lambda c: _single(_query(c, query)))


@probe("has {selector} grown?")
@operation
def grew(selector: str, since: datetime) -> Operation[datetime | None]:
    """When the counter was first seen to have grown since then, None where it has not."""
    seconds = _seconds(since)
    return Operation(
        shell=_curl("query", f"{selector}[{seconds}s]"),
        run=lambda c: first_increase(_series(r, since) for r in _query(c, f"{selector}[{seconds}s]")),
    )


@probe("has {selector} been quiet for {seconds} s?")
@operation
def quiet_for(selector: str, seconds: float) -> Operation[bool]:
    """Whether the counter is scraped and did not grow in the last `seconds`; without samples there is no proof."""
    window = f"{selector}[{max(int(seconds), 1)}s]"
    return Operation(shell=_curl("query", window), run=lambda c: _quiet(_query(c, window)))


def firing(alertname: str) -> str:
    """The selector of the series that Prometheus writes while an alert fires."""
    return f'ALERTS{{alertname="{alertname}",alertstate="firing"}}'


def _curl(verb: str, query: str) -> str:
    return f'curl -sG "$AEGIS_PROMETHEUS_URL"api/v1/{verb} {command("--data-urlencode", f"query={query}")}'


def _seconds(since: datetime) -> int:
    return max(int((datetime.now(UTC) - since).total_seconds()) + 1, 1)


def _query(c: Clients, query: str) -> list[dict[str, Any]]:
    answer = c.prometheus.get("api/v1/query", params={"query": query}).raise_for_status().json()
    if answer["status"] != "success":
        raise Unreachable(f"Prometheus refused {query!r}: {answer.get('error')}.")
    return list(answer["data"]["result"])


def _series(result: dict[str, Any], since: datetime) -> Series:
    points = ((datetime.fromtimestamp(t, UTC), float(v)) for t, v in result["values"])
    return Series(labels=result["metric"], points=tuple(p for p in points if p[0] >= since))


def _quiet(result: list[dict[str, Any]]) -> bool:
    start = datetime.min.replace(tzinfo=UTC)
    series = [_series(r, start) for r in result]
    return any(len(s.points) > 1 for s in series) and last_increase(series) is None


def _single(result: list[dict[str, Any]]) -> float | None:
    return float(result[0]["value"][1]) if result else None
