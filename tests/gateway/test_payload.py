import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_flows.domain import dedup_key
from aegis_flows.gateway import payload
from aegis_flows.gateway.payload import Firing, Malformed
from tests.gateway.webhooks import Webhook, alert, recorded, webhook


def read(content: Webhook) -> tuple[Firing, ...]:
    return payload.firing(payload.read(json.dumps(content).encode()))


def refused(body: bytes) -> dict[str, str]:
    with pytest.raises(Malformed) as e:
        payload.read(body)
    return {bad.field: bad.problem for bad in e.value.fields}


def test_each_firing_name_is_an_incident() -> None:
    """Alertmanager 0.25's webhook of three alerts with two names gives two incidents with PagerDuty's key."""
    content = recorded("firing")
    audit, model = read(content)
    assert audit.incident.alertname == "AegisAuditWriteFailures"
    assert audit.incident.dedup_key == model.incident.dedup_key == dedup_key(content["groupKey"])
    assert audit.incident.fingerprints == ["95a185610b293364", "faf21000348e57e7"]
    assert audit.incident.labels == {
        "alertname": "AegisAuditWriteFailures",
        "environment": "staging",
        "severity": "critical",
        "team": "sre",
    }
    assert audit.incident.starts_at == datetime(2026, 11, 23, 6, 20, 0, 123456, UTC)
    assert audit.latest == datetime(2026, 11, 23, 6, 20, 5, tzinfo=UTC)
    assert model.incident.labels["pod"] == "aegis-0"


def test_resolved_alerts_make_no_incident() -> None:
    """Of a mixed webhook only the names that fire are left."""
    assert [firing.incident.alertname for firing in read(recorded("mixed"))] == ["AegisAuditWriteFailures"]


def test_a_resolved_member_lends_nothing_to_its_incident() -> None:
    """Start, labels and fingerprints are those of the firing alerts alone."""
    old = alert("A", began="2026-11-23T05:00:00Z", status="resolved", pod="p0", zone="a")
    (only,) = read(webhook("g", old, alert("A", began="2026-11-23T06:00:00Z", pod="p1", zone="b")))
    assert only.incident.starts_at == datetime(2026, 11, 23, 6, tzinfo=UTC)
    assert only.incident.labels["zone"] == "b"
    assert only.incident.fingerprints == ["A-p1"]


ALERTS = [alert(name, began=f"2026-11-23T06:0{i}:00Z", pod=f"p{i}") for i, name in enumerate("AABBC")]


@given(st.permutations(ALERTS))
def test_order_does_not_matter(alerts: list[Webhook]) -> None:
    """Shuffled alerts make the same incidents."""
    assert read(webhook("g", *alerts)) == read(webhook("g", *ALERTS))


def test_zones_of_time_do_not_matter() -> None:
    """The same instant in two zones makes the same incident."""
    east, utc = (alert("A", began=began) for began in ("2026-11-23T08:00:00+02:00", "2026-11-23T06:00:00Z"))
    assert read(webhook("g", east)) == read(webhook("g", utc))


def test_templates_are_taken_apart() -> None:
    """Neither `__prefect_kind` nor jinja's openings nor control characters get through."""
    labels = {"__prefect_kind": "jinja", "template": "{{ 7 * 7 }}{%x%}{#y#}{{{", "nul": "a\x00b\nc", "long": "x" * 5000}
    (only,) = read(webhook("g", alert("A", **labels)))
    kept = only.incident.labels
    assert "__prefect_kind" not in kept
    assert kept["template"] == "{ { 7 * 7 }}{ %x%}{ #y#}{ { {"
    assert kept["nul"] == "a b c"
    assert len(kept["long"]) == payload.LONGEST_VALUE


@given(st.text())
def test_no_text_stays_a_template(text: str) -> None:
    """Whatever comes in, no opening of a template is left."""
    assert not any(opening in payload.neutral(text) for opening in ("{{", "{%", "{#"))


A_TIME = "must be a time in RFC 3339 with its zone, e.g. 2026-11-23T06:20:00Z"
MISSING = "is missing; Alertmanager's webhook of version 4 always carries it"


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        ({"alerts": []}, "alerts", "is empty"),
        ({"alerts": None}, "alerts", "Input should be a valid array"),
        ({"alerts": [1]}, "alerts[0]", "Input should be an object"),
        ({"groupKey": ""}, "groupKey", "String should have at least 1 character"),
        ({"version": "5"}, "version", "Input should be '4'"),
        ({"alerts": [{"labels": {"alertname": "A"}}]}, "alerts[0].startsAt", MISSING),
        ({"alerts": [alert("")]}, "alerts[0].labels.alertname", "is missing or empty"),
        ({"alerts": [alert("A"), alert("A", began="today")]}, "alerts[1].startsAt", A_TIME),
        ({"alerts": [alert("A", began="2026-11-23")]}, "alerts[0].startsAt", A_TIME),
        ({"alerts": [alert("A", began="2026-11-23T06:20:00")]}, "alerts[0].startsAt", A_TIME),
        ({"alerts": [alert("A", began="0001-01-01T00:00:00+05:00")]}, "alerts[0].startsAt", A_TIME),
        ({"alerts": [alert("A") | {"startsAt": 1795415000}]}, "alerts[0].startsAt", A_TIME),
        ({"alerts": [alert("A", status="on fire")]}, "alerts[0].status", "Input should be 'firing' or 'resolved'"),
        ({"alerts": [alert("A") | {"labels": {"alertname": "A", "a b": 1}}]}, "alerts[0].labels.?", "Input should be"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], field: str, problem: str) -> None:
    """The refusal has the field's path and what it should be."""
    assert refused(json.dumps(recorded("firing") | change).encode())[field].startswith(problem)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a": "\\ud800"}', b"[" * 100_000])
def test_what_is_no_json_is_named(body: bytes) -> None:
    """A body that cannot be parsed is refused as a whole."""
    assert refused(body)["body"].startswith("Invalid JSON")


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))


@given(st.sampled_from(["groupKey", "alerts", "version"]), JSON.map(lambda value: {"SECRET": ["SECRET", value]}))
def test_nothing_of_the_payload_is_repeated(name: str, value: object) -> None:
    """A refusal holds no value of what was sent."""
    for bad in ({name: value}, {"alerts": [alert("A") | {"labels": value, "startsAt": value, "SECRET!": value}]}):
        fields = refused(json.dumps(recorded("firing") | bad).encode())
        assert "SECRET" not in str(list(fields.values()))
