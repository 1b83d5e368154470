import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Cancelled, Completed, Crashed, Failed, Pending, Running, Suspended

from aegis_flows.domain import dedup_key
from tests.gateway.conftest import Gateways
from tests.gateway.webhooks import LATER, Webhook, alert, recorded, webhook

AUDIT, MODEL = "AegisAuditWriteFailures", "AegisModelNotLoaded"


def runs_of(prefect: SyncPrefectClient, group: str) -> list[FlowRun]:
    tags = FlowRunFilterTags(all_=[f"incident:{dedup_key(group)}"])
    return prefect.read_flow_runs(flow_run_filter=FlowRunFilter(tags=tags))


def post(gateway: httpx.Client, content: Webhook, expected: int) -> dict[str, Any]:
    response = gateway.post("/alerts", json=content)
    assert response.status_code == expected, response.text
    answer: dict[str, Any] = response.json()
    return answer


def end(prefect: SyncPrefectClient, answer: dict[str, Any], state: State[Any]) -> None:
    prefect.set_flow_run_state(UUID(answer["runs"][0]["run_id"]), state, force=True)


def test_a_delivery_is_recorded_before_it_is_answered(
    gateway: httpx.Client, prefect: SyncPrefectClient, group: str
) -> None:
    """202 names a run that Prefect holds, with the incident as its parameter, its tags and a telling name."""
    answer = post(gateway, webhook(group, alert(AUDIT)), 202)
    key = dedup_key(group)
    (run,) = runs_of(prefect, group)
    assert answer == {"runs": [{"alertname": AUDIT, "run_id": str(run.id), "created": True}], "unhandled": []}
    assert run.parameters["incident"] == {
        "alertname": AUDIT,
        "dedup_key": key,
        "starts_at": "2026-11-23T06:20:00.123456Z",
        "labels": alert(AUDIT)["labels"],
        "fingerprints": [f"{AUDIT}-aegis-0"],
    }
    assert set(run.tags) == {f"incident:{key}", "playbook", f"alert:{AUDIT}"}
    assert run.name == f"{AUDIT} {key[:8]} 2026-11-23T06:20:00Z"


def test_several_names_in_one_webhook(gateway: httpx.Client, prefect: SyncPrefectClient, group: str) -> None:
    """Alertmanager's own webhook of two names starts two playbooks; the mixed one after it starts none."""
    answer = post(gateway, recorded("firing", group), 202)
    assert [(run["alertname"], run["created"]) for run in answer["runs"]] == [(AUDIT, True), (MODEL, True)]
    mixed = post(gateway, recorded("mixed", group), 200)
    assert mixed["runs"] == [answer["runs"][0] | {"created": False}]
    assert len(runs_of(prefect, group)) == 2


def test_resolved_starts_nothing(gateway: httpx.Client, prefect: SyncPrefectClient, group: str) -> None:
    """A webhook of resolved alerts alone is 200 and leaves no run."""
    assert post(gateway, webhook(group, alert(AUDIT, status="resolved")), 200) == {"runs": [], "unhandled": []}
    assert runs_of(prefect, group) == []


@pytest.mark.parametrize("name", ["Watchdog", "Disk full: /var", "../../flows", "Ä" * 500, "aegisAuditWriteFailures"])
def test_a_name_without_a_playbook_is_said_to_be_unhandled(gateway: httpx.Client, group: str, name: str) -> None:
    """It is no error, whatever the name, and does not hold back its neighbour."""
    answer = post(gateway, webhook(group, alert(name), alert(AUDIT)), 202)
    assert answer["unhandled"] == [name]
    assert [run["alertname"] for run in answer["runs"]] == [AUDIT]


def test_repeats_start_nothing(gateway: httpx.Client, prefect: SyncPrefectClient, group: str) -> None:
    """The same delivery again names the same run, while it works and after it ended."""
    first = post(gateway, webhook(group, alert(AUDIT)), 202)
    again = post(gateway, webhook(group, alert(AUDIT)), 200)
    end(prefect, first, Completed())
    after = post(gateway, webhook(group, alert(AUDIT)), 200)
    assert again == after == {"runs": [first["runs"][0] | {"created": False}], "unhandled": []}
    assert len(runs_of(prefect, group)) == 1


@pytest.mark.parametrize("state", [Pending(), Running(), Suspended(timeout_seconds=60)], ids=lambda state: state.name)
def test_a_playbook_at_work_answers_for_all(
    gateway: httpx.Client, prefect: SyncPrefectClient, group: str, state: State[Any]
) -> None:
    """While it works, new members and a new beginning start nothing."""
    first = post(gateway, webhook(group, alert(AUDIT)), 202)
    end(prefect, first, state)
    member = alert(AUDIT, pod="aegis-1", began=LATER)
    for content in (webhook(group, alert(AUDIT), member), webhook(group, member)):
        assert post(gateway, content, 200)["runs"][0]["run_id"] == first["runs"][0]["run_id"]
    assert len(runs_of(prefect, group)) == 1


@pytest.mark.parametrize("state", [Completed(), Failed(), Crashed(), Cancelled()], ids=lambda state: state.name)
def test_firing_anew_starts_anew(
    gateway: httpx.Client, prefect: SyncPrefectClient, group: str, state: State[Any]
) -> None:
    """After the playbook ended, a later startsAt starts a second run; the old delivery, come late, does not."""
    first = post(gateway, webhook(group, alert(AUDIT)), 202)
    end(prefect, first, state)
    second = post(gateway, webhook(group, alert(AUDIT, began=LATER)), 202)
    assert second["runs"][0]["run_id"] != first["runs"][0]["run_id"]
    end(prefect, second, state)
    assert not post(gateway, webhook(group, alert(AUDIT)), 200)["runs"][0]["created"]
    assert len(runs_of(prefect, group)) == 2


def test_what_is_left_of_a_group_starts_nothing(gateway: httpx.Client, prefect: SyncPrefectClient, group: str) -> None:
    """When the oldest member resolves after the playbook ended, the younger one is not taken for a new incident."""
    old, young = alert(AUDIT), alert(AUDIT, pod="aegis-1", began=LATER)
    first = post(gateway, webhook(group, old, young), 202)
    end(prefect, first, Failed())
    left = post(gateway, webhook(group, old | {"status": "resolved"}, young), 200)
    assert left["runs"] == [first["runs"][0] | {"created": False}]


def test_deliveries_out_of_order(gateway: httpx.Client, prefect: SyncPrefectClient, group: str) -> None:
    """The later of two beginnings delivered first: the earlier one, come late, starts nothing."""
    first = post(gateway, webhook(group, alert(AUDIT, began=LATER)), 202)
    end(prefect, first, Completed())
    assert post(gateway, webhook(group, alert(AUDIT)), 200)["runs"] == [first["runs"][0] | {"created": False}]


def test_a_start_in_the_future_silences_nothing(gateway: httpx.Client, prefect: SyncPrefectClient, group: str) -> None:
    """A wrong clock's startsAt in the year 2100 does not swallow the alerts between now and then."""
    far, near = "2100-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
    first = post(gateway, webhook(group, alert(AUDIT, began=far)), 202)
    end(prefect, first, Completed())
    assert not post(gateway, webhook(group, alert(AUDIT, began=far)), 200)["runs"][0]["created"]
    assert post(gateway, webhook(group, alert(AUDIT, began=near)), 202)["runs"][0]["created"]


def test_the_same_delivery_at_two_gateways_at_once(gateways: Gateways, prefect: SyncPrefectClient, group: str) -> None:
    """Eight equal deliveries at two gateways at once: one run, and one answer that claims to have created it."""
    with ExitStack() as opened, ThreadPoolExecutor(8) as threads:
        clients = [opened.enter_context(gateways(str(prefect.api_url))) for _ in range(2)] * 4
        responses = list(threads.map(lambda client: client.post("/alerts", json=webhook(group, alert(AUDIT))), clients))
    assert sorted(response.status_code for response in responses) == [200] * 7 + [202]
    assert len({response.json()["runs"][0]["run_id"] for response in responses}) == 1
    assert len(runs_of(prefect, group)) == 1


def test_different_members_of_one_group_at_once(gateway: httpx.Client, prefect: SyncPrefectClient, group: str) -> None:
    """Deliveries whose keys differ, at once at one gateway: the first to come is the one run."""
    contents = [webhook(group, alert(AUDIT, began=f"2026-11-23T06:20:0{second}Z")) for second in range(6)]
    with ThreadPoolExecutor(6) as threads:
        responses = list(threads.map(lambda content: gateway.post("/alerts", json=content), contents))
    assert sorted(response.status_code for response in responses) == [200] * 5 + [202]
    assert len(runs_of(prefect, group)) == 1


def test_templates_are_not_rendered(gateway: httpx.Client, prefect: SyncPrefectClient, group: str) -> None:
    """Prefect's server, which renders such parameters, stores labels as plain text (FACTS: template injection)."""
    labels = {"__prefect_kind": "jinja", "template": "{{ 7 * 7 }}", "value": "{% raw %}"}
    post(gateway, webhook(group, alert(AUDIT, **labels)), 202)
    (run,) = runs_of(prefect, group)
    stored = run.parameters["incident"]["labels"]
    assert stored == alert(AUDIT)["labels"] | {"template": "{ { 7 * 7 }}", "value": "{ % raw %}"}


def test_one_line_for_each_delivery(gateway: httpx.Client, group: str, caplog: pytest.LogCaptureFixture) -> None:
    """The log has status, the group's short key and the run; nothing of annotations or labels."""
    caplog.set_level(logging.INFO, logger="aegis_flows.gateway")
    run = post(gateway, webhook(group, alert(AUDIT), alert("Watch\ndog")), 202)["runs"][0]["run_id"]
    (line,) = [record.getMessage() for record in caplog.records if record.name == "aegis_flows.gateway"]
    assert line == f"delivery status=202 incident={dedup_key(group)[:8]} runs={run}(new) unhandled=Watch dog"


def test_what_happened_is_counted(gateways: Gateways, prefect: SyncPrefectClient, group: str) -> None:
    """A fresh gateway counts deliveries, new runs, duplicates, unhandled names and refusals by code."""
    with gateways(str(prefect.api_url)) as gateway:
        for content in (webhook(group, alert(AUDIT), alert("Watchdog")), webhook(group, alert(AUDIT)), {}):
            gateway.post("/alerts", json=content)
        text = gateway.get("/metrics").text
    assert "aegis_gateway_deliveries_received_total 3.0" in text
    assert "aegis_gateway_runs_created_total 1.0" in text
    assert "aegis_gateway_duplicates_total 1.0" in text
    assert "aegis_gateway_unhandled_total 1.0" in text
    assert 'aegis_gateway_refused_total{code="422"} 1.0' in text
