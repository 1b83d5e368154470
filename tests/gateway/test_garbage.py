import json
from copy import deepcopy
from functools import reduce
from operator import getitem
from typing import Any
from uuid import UUID

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st
from prefect.client.orchestration import SyncPrefectClient

from tests.gateway.conftest import PLAYBOOKS
from tests.gateway.webhooks import Webhook, recorded

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
TEXT = st.text() | st.sampled_from(["jinja", "{{ 7 * 7 }}", *PLAYBOOKS])
TIME = st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat())
PLAUSIBLE: dict[tuple[str | int, ...], st.SearchStrategy[object]] = {
    ("groupKey",): TEXT,
    ("truncatedAlerts",): st.integers(0, 9),
    ("commonLabels",): ANYTHING,
    ("alerts", 0, "status"): st.sampled_from(["firing", "resolved"]),
    ("alerts", 0, "startsAt"): TIME,
    ("alerts", 1, "labels"): st.dictionaries(TEXT, TEXT).map(lambda labels: {"alertname": PLAYBOOKS[0]} | labels),
    ("alerts", 1, "annotations"): st.dictionaries(TEXT, TEXT),
    ("alerts", 1, "startsAt"): TIME,
    ("alerts", 1, "endsAt"): ANYTHING,
    ("alerts", 1, "fingerprint"): TEXT,
    ("alerts", 2, "status"): st.sampled_from(["firing", "resolved"]),
    ("alerts", 2, "labels", "alertname"): TEXT,
    ("alerts", 2, "labels", "__prefect_kind"): TEXT,
    ("alerts", 2, "labels", "template"): TEXT,
}


@st.composite
def damaged(draw: st.DrawFn) -> Webhook:
    """Alertmanager's own webhook with up to three places replaced: mostly by what fits there, else by anything."""
    content: Any = deepcopy(recorded("mixed"))
    for place in draw(st.lists(st.sampled_from([*PLAUSIBLE]), min_size=1, max_size=3, unique=True)):
        fits = PLAUSIBLE[place]
        try:
            reduce(getitem, place[:-1], content)[place[-1]] = draw(st.one_of(fits, fits, fits, ANYTHING))
        except (LookupError, TypeError):  # an earlier replacement took the place away
            continue
    damaged_webhook: Webhook = content
    return damaged_webhook


def names_firing(content: Webhook) -> set[str]:
    return {entry["labels"]["alertname"] for entry in content["alerts"] if entry.get("status", "firing") == "firing"}


def delivered(gateway: httpx.Client, content: str) -> httpx.Response:
    """As Alertmanager delivers: a 503 says that Prefect was too slow just now, and is tried again."""
    for _ in range(5):
        response = gateway.post("/alerts", content=content)
        if response.status_code != 503:
            break
    return response


@settings(deadline=None, max_examples=60)
@given(content=damaged())
def test_garbage_is_either_refused_or_recorded(
    gateway: httpx.Client, prefect: SyncPrefectClient, content: Webhook
) -> None:
    """Never a 5xx for what is malformed, and never a 2xx while a firing playbook has no run in Prefect."""
    response = delivered(gateway, json.dumps(content))
    if response.status_code == 422:
        assert response.json()["fields"]
        return
    assert response.is_success, response.text
    answer = response.json()
    recorded_runs = {
        prefect.read_flow_run(UUID(run["run_id"])).parameters["incident"]["alertname"] for run in answer["runs"]
    }
    assert recorded_runs == names_firing(content) & set(PLAYBOOKS)
    assert set(answer["unhandled"]) == names_firing(content) - set(PLAYBOOKS)


@settings(deadline=None, max_examples=40)
@given(body=st.binary() | ANYTHING.map(lambda value: json.dumps(value).encode()))
def test_any_other_body_is_refused(gateway: httpx.Client, body: bytes) -> None:
    """Bytes and JSON that are no webhook: always a 422 that names a field."""
    response = gateway.post("/alerts", content=body)
    assert response.status_code == 422
    assert response.json()["fields"]
