"""Incidents into playbook runs: durable in Prefect, one run per incident."""

import asyncio
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from weakref import WeakValueDictionary

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowFilter, FlowFilterName, FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound, PrefectException

from aegis_flows.domain import Incident, Value, deployment_name
from aegis_flows.errors import Refused, Unreachable
from aegis_flows.gateway.payload import Firing, neutral

ANSWERS_UNTIL = "aegis.answers-until"  # label: alerts of the group that began up to here are this run's business
DELIVERY = "aegis.delivery"  # label: which request created the run; tells a new run from an existing one
LONGEST_AT_WORK = timedelta(hours=2)  # a playbook's own waits, approval among them, end well before
RUNS_READ = 20  # newest runs of an incident that are looked at

_PLAYBOOK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")  # anything else cannot name a playbook's file
_AT_WORK = {StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.PAUSED}
_NOT_ACCEPTED = {400, 409, 413, 422}


class Run(Value):
    """The playbook run that answers for one alert name."""

    alertname: str
    run_id: UUID
    created: bool


class Playbooks:
    """Starts playbooks through one Prefect client."""

    def __init__(self, client: PrefectClient) -> None:
        self._client = client
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def start(self, firing: Firing) -> Run | None:
        """The run that answers for these alerts, new or existing; None when the alert has no playbook.

        Raises Unreachable (worth another try) and Refused (somebody has to mend the deployment first).
        """
        incident = firing.incident
        if not _PLAYBOOK_NAME.fullmatch(incident.alertname):
            return None
        lock = self._locks.setdefault((incident.dedup_key, incident.alertname), asyncio.Lock())
        with _told_plainly(incident.alertname):
            async with lock:
                return await self._start(firing)

    async def answers(self) -> None:
        """Returns when Prefect's API and its database answer. Raises Unreachable."""
        with _told_plainly("a look at its flows"):
            await self._client.read_flows(limit=1)

    async def _start(self, firing: Firing) -> Run | None:
        name = firing.incident.alertname
        deployment_id = await self._deployment(name)
        if deployment_id is None:
            return None
        existing = answering(firing, await self._runs(firing.incident))
        if existing:
            return Run(alertname=name, run_id=existing.id, created=False)
        return await self._create(deployment_id, firing)

    async def _deployment(self, alertname: str) -> UUID | None:
        try:
            deployment = await self._client.read_deployment_by_name(f"{alertname}/{deployment_name(alertname)}")
        except ObjectNotFound as e:
            if _says_no_deployment(e.http_exc):
                return None
            raise
        return deployment.id

    async def _runs(self, incident: Incident) -> list[FlowRun]:
        return await self._client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[incident.alertname])),
            flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=tags(incident))),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            limit=RUNS_READ,
        )

    async def _create(self, deployment_id: UUID, firing: Firing) -> Run:
        incident, delivery = firing.incident, uuid4().hex
        until = min(firing.latest, datetime.now(UTC))  # a start in the future must not silence what comes before it
        run = await self._client.create_flow_run_from_deployment(
            deployment_id,
            parameters={"incident": incident.model_dump(mode="json")},
            idempotency_key=idempotency_key(incident),
            name=f"{incident.alertname} {incident.dedup_key[:8]} {incident.starts_at:%Y-%m-%dT%H:%M:%SZ}",
            tags=tags(incident),
            labels={ANSWERS_UNTIL: until.isoformat(), DELIVERY: delivery},
        )
        return Run(alertname=incident.alertname, run_id=run.id, created=run.labels.get(DELIVERY) == delivery)


def tags(incident: Incident) -> list[str]:
    return [f"incident:{incident.dedup_key}", "playbook", f"alert:{incident.alertname}"]


def idempotency_key(incident: Incident) -> str:
    """The same for every delivery of one beginning of one alert in one group, at whichever gateway."""
    return f"{incident.dedup_key}:{incident.alertname}:{incident.starts_at.isoformat()}"


def answering(firing: Firing, runs: Iterable[FlowRun]) -> FlowRun | None:
    """The run among `runs` of this incident that makes a new one needless: at work, or made for these very alerts.

    Alerts that began no later than those of an earlier run are its late, shuffled or shrunken repeats.
    """
    at_work = [run for run in runs if run.state_type in _AT_WORK and _alive(run, firing)]
    made_for = [run for run in runs if firing.incident.starts_at <= _answers_until(run)]
    return next(iter([*at_work, *made_for]), None)


def _alive(run: FlowRun, firing: Firing) -> bool:
    """A run whose worker was killed stays Running for ever: a later start of the alert must not wait for it."""
    return run.created is None or firing.latest - run.created < LONGEST_AT_WORK


def _answers_until(run: FlowRun) -> datetime:
    label = run.labels.get(ANSWERS_UNTIL)
    return datetime.fromisoformat(str(label)) if label else datetime.min.replace(tzinfo=UTC)


@contextmanager
def _told_plainly(what: str) -> Iterator[None]:
    """Turns what Prefect's client raises into the two errors that the gateway answers for."""
    try:
        yield
    except httpx.HTTPStatusError as e:
        code = e.response.status_code
        if code in _NOT_ACCEPTED:
            raise Refused(f"Prefect refused {what}: {code} {_detail(e.response)}") from e
        raise _unreachable(what, f"it answered {code}") from e
    except (httpx.HTTPError, PrefectException, ValueError, OSError) as e:
        raise _unreachable(what, type(e).__name__) from e


def _unreachable(what: str, reason: str) -> Unreachable:
    return Unreachable(
        f"Prefect did not take {what}: {reason}.", advice="Check that its server runs and PREFECT_API_URL is right."
    )


def _says_no_deployment(error: Exception) -> bool:
    """Prefect's own 404; one from a wrong address or a proxy must not pass for an alert without a playbook."""
    return isinstance(error, httpx.HTTPStatusError) and "deployment" in _detail(error.response).lower()


def _detail(response: httpx.Response) -> str:
    """What Prefect says was wrong, in at most 300 characters."""
    try:
        body = response.json()
    except ValueError:
        return "without a reason"
    return neutral(str(body.get("detail") or body.get("exception_detail") if isinstance(body, dict) else body))[:300]
