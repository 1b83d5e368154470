"""What every exercise watches: is all quiet before, does the alert fire, whom does it reach, who takes it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from prefect.client.schemas.objects import FlowRun

from aegis_flows import guard
from aegis_flows.errors import NotVerified
from aegis_flows.samples import first_sample, last_sample
from aegis_flows.settings import settings
from aegis_flows.stamps import Stamp, StampName
from tasks import alertmanager, pagerduty, prometheus, runs, service, slack
from tasks.stamping import stamp
from tasks.waiting import wait_until

NOTICE = timedelta(minutes=10)
"""How long an alert may take to fire and to reach people: its own `for`, the grouping, and some."""
STEADY = timedelta(minutes=2)
"""How long an earlier drill may take to quieten down."""
SECOND = timedelta(seconds=1)


def steady_state() -> None:
    """No critical alert fires, no incident is open, the service is healthy; and the target is staging."""
    print(f"target: {guard.prove_staging()}")
    guard.no_open_fault()
    wait_until(
        alertmanager.firing,
        until=lambda alerts: not alertmanager.critical(alerts),
        within=STEADY,
        what="no critical alert fires before the drill",
    )
    wait_until(pagerduty.open_incidents, until=lambda i: not i, within=STEADY, what="no incident is open")
    wait_until(service.health, until=lambda h: h.get("status") == "ok", within=STEADY, what="the service is healthy")


def fires(alertname: str, since: datetime) -> Stamp:
    """Prometheus' own samples say when; Alertmanager's fingerprint says which alert."""
    first = wait_until(
        prometheus.samples,
        prometheus.firing(alertname),
        since,
        until=lambda s: first_sample(s) is not None,
        within=NOTICE,
        what=f"{alertname} fires",
    )
    held = wait_until(
        alertmanager.firing,
        until=lambda a: bool(alertmanager.named(a, alertname)),
        within=NOTICE,
        what="Alertmanager holds it",
    )
    alert = alertmanager.named(held, alertname)[0]
    at = first_sample(first)
    assert at is not None
    return stamp(
        Stamp(
            name=StampName.firing,
            at=at,
            source="prometheus",
            evidence=f"{prometheus.firing(alertname)}, fingerprint {alert['fingerprint']}",
            detail=f"{alertname} fires, startsAt {alert['startsAt']}",
        )
    )


def routed(alertname: str, since: datetime) -> FlowRun:
    """The gateway has made it a run of its playbook; Prefect's clock says when."""
    [run, *_] = wait_until(
        runs.tagged,
        [f"alert:{alertname}", "playbook"],
        since,
        within=NOTICE,
        what="the gateway has started the playbook",
    )
    assert run.created is not None
    stamp(
        Stamp(
            name=StampName.routed,
            at=run.created,
            source="prefect",
            evidence=f"flow run {run.id}",
            detail=f"Alertmanager's webhook became the run {run.name}",
        )
    )
    return run


def reaches_slack(alertname: str, since: datetime) -> None:
    """Alertmanager's message, read back from Slack; an accepted request counts for nothing."""
    where = settings().slack_channel
    [message, *_] = wait_until(
        slack.messages, where, alertname, since, within=NOTICE, what=f"{where} shows the alert", every=2 * SECOND
    )
    stamp(
        Stamp(
            name=StampName.slack_seen,
            at=slack.said_at(message),
            source="slack",
            evidence=f"message {message['channel_id']}/{message['ts']}",
            detail=f"shown in {where}",
        )
    )


def opens_incident(dedup_key: str, since: datetime) -> dict[str, Any]:
    """PagerDuty's incident of this alert group, read back; its clock tells whole seconds."""
    found: dict[str, Any] = wait_until(
        pagerduty.incident,
        dedup_key,
        until=lambda i: datetime.fromisoformat(i["created_at"]) >= since - SECOND,
        within=NOTICE,
        what="PagerDuty has opened an incident",
    )
    stamp(
        Stamp(
            name=StampName.pagerduty_opened,
            at=datetime.fromisoformat(found["created_at"]),
            source="pagerduty",
            evidence=f"incident {found['id']}",
            detail=str(found.get("title", "")),
            resolution=SECOND,
        )
    )
    return found


def acknowledged(incident_id: str) -> None:
    """The first acknowledge_log_entry: by whom, and whether that was a person."""
    entry = wait_until(
        pagerduty.first_acknowledgement, incident_id, within=NOTICE, what="somebody acknowledges the incident"
    )
    agent = entry.get("agent") or {}
    person = "user" in agent.get("type", "") and pagerduty.email_of(agent["id"]) != settings().pagerduty_from
    stamp(
        Stamp(
            name=StampName.acknowledged,
            at=datetime.fromisoformat(entry["created_at"]),
            source="pagerduty",
            evidence=f"log entry {entry['id']}",
            detail=f"by {agent.get('summary', 'unknown')}",
            by="person" if person else "automation",
            resolution=SECOND,
        )
    )


def cured_by(run: FlowRun) -> FlowRun:
    """The playbook's run, ended as mitigated; NotVerified with its own words when it says otherwise."""
    s = settings()
    ended = wait_until(
        runs.run,
        run.id,
        until=runs.ended,
        within=timedelta(seconds=s.approval_seconds + 5 * s.verify_seconds),
        what="the playbook ends",
    )
    if not ended.state or ended.state.name != "Mitigated":
        state = ended.state
        raise NotVerified(
            f"The playbook ended as {state.name}: {state.message}" if state else "The playbook has no state."
        )
    return ended


def alert_ended(alertname: str, since: datetime) -> datetime:
    """When Prometheus last saw the alert fire; NotVerified while it still does."""
    wait_until(
        alertmanager.firing,
        until=lambda a: not alertmanager.named(a, alertname),
        within=NOTICE,
        what=f"{alertname} is resolved",
    )
    last = last_sample(prometheus.samples(prometheus.firing(alertname), since))
    if last is None:
        raise NotVerified(f"Prometheus has no sample of {alertname} since {since:%H:%M:%S}.")
    return last


def now() -> datetime:
    return datetime.now(UTC)
