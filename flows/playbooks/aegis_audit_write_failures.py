"""AegisAuditWriteFailures: audit events cannot be written. SRE and Compliance."""

import re
from collections import Counter
from datetime import timedelta

from prefect import flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Completed, Failed

from aegis_flows import operation
from aegis_flows.domain import Cause, Diagnosis, Incident
from aegis_flows.errors import AegisError, TooLate
from aegis_flows.settings import settings
from aegis_flows.timeline import Timeline
from tasks import alertmanager, audit, kube, pagerduty, prometheus, runs, slack
from tasks.waiting import wait_until

ALERT = "AegisAuditWriteFailures"
FALLBACK = "Enable audit fallback/enable-audit-fallback"


@flow(name=ALERT, log_prints=True)
def aegis_audit_write_failures(
    incident: Incident,
    dry_run: bool = False,
) -> State[str]:
    """Acknowledge, name the cause, have the fallback approved and enabled, prove that errors stop, write it down.

    Args:
        incident: The alert group that fired, as the gateway received it.
        dry_run: Diagnose and show what would be proposed; acknowledge, change and tell nothing.

    """
    with operation.dry_run(dry_run):
        timeline = Timeline()
        page = timeline.tried("acknowledge in PagerDuty", _acknowledge, incident, timeline)
        timeline.tried("read the audit writer's errors and logs", _errors, timeline)
        try:
            state = _cure(incident, _diagnose(timeline), timeline, dry_run=dry_run)
        except AegisError as error:
            state = Failed(name="Unmitigated", message=str(error))
        return _finish(page, timeline, state)


def _acknowledge(incident: Incident, timeline: Timeline) -> str:
    """1. Acknowledge. PagerDuty may open the incident a moment after we start; a resolved one is left alone."""
    timeline.add(incident.starts_at, f"{ALERT} began to fire.")
    found = wait_until(
        pagerduty.incident, incident.dedup_key, within=timedelta(seconds=30), what="PagerDuty has the incident"
    )
    if found["status"] == "triggered":
        pagerduty.acknowledge(found["id"])
        timeline.now("Acknowledged in PagerDuty by automation.")
    return str(found["id"])


def _errors(timeline: Timeline) -> None:
    """2. The write-error metric and the audit writer's logs; of a log line only its codes, never the rest."""
    s = settings()
    errors = prometheus.value(f'sum(increase(aegis_audit_write_errors_total{{namespace="{s.namespace}"}}[5m]))')
    lines = kube.logs(s.namespace, s.deployment, "audit: write failed")
    codes = Counter(code for line in lines for code in re.findall(r"\bcode=([\w.]+)", line))
    told = ", ".join(f"{code} {n} times" for code, n in codes.most_common()) or "no failed write"
    timeline.now(f"{errors or 0:.0f} audit write errors in the last 5 minutes; the writer's logs say {told}.")


def _diagnose(timeline: Timeline) -> Diagnosis:
    """3. S3 and KMS, by a canary under the service's own role and through its own configuration."""
    s = settings()
    bucket, key_id = (kube.env(s.namespace, s.deployment, n) or "" for n in audit.BACKEND)
    diagnosis = audit.canary(bucket, key_id)
    timeline.now(f"Canary through bucket {bucket}: {diagnosis.cause}. {diagnosis.evidence}.")
    return diagnosis


def _cure(incident: Incident, diagnosis: Diagnosis, timeline: Timeline, *, dry_run: bool) -> State[str]:
    if diagnosis.usable:
        healthy = f"A canary through bucket {diagnosis.bucket} works now, so no fallback is proposed. Watch the alert."
        return Completed(name="Nothing to do", message=healthy)
    if diagnosis.cause is Cause.role_denied:
        ours = f"We may not look: {diagnosis.evidence}. Let the worker's identity assume AEGIS_AUDIT_ROLE_ARN."
        return Failed(name="Undiagnosed", message=ours)
    if dry_run:
        return Completed(name="Dry run", message=f"Would propose the fallback: {diagnosis.cause}.")
    return _judge(_propose(incident, diagnosis, timeline), timeline)


def _propose(incident: Incident, diagnosis: Diagnosis, timeline: Timeline) -> FlowRun:
    """4. The fallback, as a run of its own deployment: it asks for approval, and ends as that was answered."""
    s = settings()
    run_id = runs.start(
        FALLBACK,
        parameters={
            "why": f"{ALERT}: {diagnosis.cause} ({diagnosis.evidence}), bucket {diagnosis.bucket}.",
            "incident": incident.dedup_key,
        },
        key=f"fallback:{incident.dedup_key}:{incident.starts_at.isoformat()}",
        tags=["mitigation", f"incident:{incident.dedup_key}"],
    )
    timeline.now("Proposed to enable the audit fallback; waiting for a named person's yes.")
    return wait_until(
        runs.run,
        run_id,
        until=runs.ended,
        within=timedelta(seconds=s.approval_seconds + 3 * s.verify_seconds),
        what="the fallback is approved, enabled and verified",
    )


def _judge(mitigation: FlowRun, timeline: Timeline) -> State[str]:
    """Mitigated only when the mitigation proved itself and the alert resolved."""
    state = mitigation.state
    timeline.now(
        f"Enable audit fallback ended as {state.name if state else 'unknown'}: {state.message if state else ''}"
    )
    if not (state and state.is_completed()):
        told = f"{state.name}: {state.message}" if state else "it has no state"
        return Failed(name="Unmitigated", message=f"The fallback is not proven to be in force. {told}")
    try:
        wait_until(
            alertmanager.firing,
            until=lambda alerts: not alertmanager.named(alerts, ALERT),
            within=timedelta(seconds=settings().verify_seconds),
            what=f"{ALERT} resolves",
        )
    except TooLate:
        return Failed(name="Unmitigated", message="The fallback is in force and yet the alert still fires.")
    timeline.now(f"{ALERT} resolved.")
    return Completed(name="Mitigated", message="Events are safe, errors have stopped, the alert has resolved.")


def _finish(page: str | None, timeline: Timeline, state: State[str]) -> State[str]:
    """5. Into the incident, and to the channel; an unmitigated incident is escalated by staying open and saying so."""
    timeline.now(f"{state.name}: {state.message}")
    if page:
        timeline.tried("write into the incident", pagerduty.note, page, timeline.text())
    mark = ":white_check_mark:" if state.is_completed() else ":rotating_light:"
    said = f"{mark} *{ALERT}* {state.name}: {state.message}"
    timeline.tried("tell Slack", slack.post, settings().slack_channel, said)
    return state
