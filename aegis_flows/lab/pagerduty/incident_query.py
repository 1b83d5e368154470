"""`GET /incidents`: which incidents, and in which order."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.datastructures import QueryParams

from aegis_flows.lab.pagerduty.account import Incident
from aegis_flows.lab.pagerduty.faults import invalid
from aegis_flows.lab.pagerduty.paging import only

STATUSES = frozenset({"triggered", "acknowledged", "resolved"})
PARAMETERS = frozenset(
    {"statuses[]", "incident_key", "service_ids[]", "urgencies[]", "since", "until", "date_range", "sort_by"}
)
DEFAULT_WINDOW = timedelta(days=30)
MAX_WINDOW = timedelta(days=184)
MAX_SORT_FIELDS = 2
BEGINNING = datetime.min.replace(tzinfo=UTC)
END = datetime.max.replace(tzinfo=UTC)

SORT_KEYS: dict[str, Callable[[Incident], datetime | int]] = {
    "incident_number": lambda incident: incident.number,
    "created_at": lambda incident: incident.created_at,
    "resolved_at": lambda incident: incident.last_change.at if incident.status == "resolved" else END,
    "urgency": lambda _: 0,
}


@dataclass(frozen=True, slots=True)
class IncidentQuery:
    statuses: frozenset[str]
    services: frozenset[str]
    """Ids; none means every service."""
    incident_key: str | None
    window: tuple[datetime, datetime]
    """From the first, until before the second, by `created_at`."""
    order: tuple[tuple[str, bool], ...]
    """Field and whether it is descending, the first one deciding."""

    def of(self, incidents: Iterable[Incident]) -> list[Incident]:
        found = [incident for incident in incidents if self._fits(incident)]
        for name, descending in reversed(self.order):
            found.sort(key=SORT_KEYS[name], reverse=descending)
        return found

    def _fits(self, incident: Incident) -> bool:
        return (
            incident.status in self.statuses
            and (not self.services or incident.service.id in self.services)
            and self.incident_key in {None, incident.dedup_key}
            and self.window[0] <= incident.created_at < self.window[1]
        )


def incident_query(params: QueryParams, now: datetime) -> IncidentQuery:
    only(params, PARAMETERS)
    statuses = frozenset(params.getlist("statuses[]")) or STATUSES
    if statuses - STATUSES:
        raise invalid("Status must be a list of triggered, acknowledged, or resolved.")
    urgencies = set(params.getlist("urgencies[]")) or {"high", "low"}
    return IncidentQuery(
        statuses=statuses if "high" in urgencies else frozenset(),  # every incident here is of high urgency
        services=frozenset(params.getlist("service_ids[]")),
        incident_key=params.get("incident_key"),
        window=_window(params, now),
        order=_order(params.get("sort_by", "incident_number")),
    )


def _window(params: QueryParams, now: datetime) -> tuple[datetime, datetime]:
    """One month unless asked; `date_range=all` lifts it."""
    if (date_range := params.get("date_range")) is not None:
        if date_range != "all":
            raise invalid("Date range must be all.")
        return BEGINNING, END
    until = _moment(params, "until") or now + timedelta(seconds=1)
    since = _moment(params, "since") or until - DEFAULT_WINDOW
    if until - since > MAX_WINDOW:
        raise invalid("The time range cannot exceed 6 months.")
    return since, until


def _moment(params: QueryParams, name: str) -> datetime | None:
    text = params.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(f"{name.capitalize()} is not a valid date.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _order(sort_by: str) -> tuple[tuple[str, bool], ...]:
    fields = [field.partition(":") for field in sort_by.split(",")]
    known = all(name in SORT_KEYS and direction in {"", "asc", "desc"} for name, _, direction in fields)
    if not known or len(fields) > MAX_SORT_FIELDS:
        raise invalid("Sort_by must name one or two of incident_number, created_at, resolved_at, urgency.")
    return tuple((name, direction == "desc") for name, _, direction in fields)
