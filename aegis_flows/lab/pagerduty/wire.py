"""The REST API's shapes (developer.pagerduty.com/api-reference), from what the account holds."""

from dataclasses import dataclass
from datetime import datetime

from aegis_flows.lab.pagerduty.account import Incident, JsonObject, LogEntry, Note, Service, User


@dataclass(frozen=True, slots=True)
class Wire:
    url: str
    """This stub's own address, for `self` and `html_url`; no slash at the end."""

    def user(self, user: User) -> JsonObject:
        details = {"name": user.name, "email": user.email, "time_zone": "Etc/UTC", "role": "user"}
        return {**self.reference(user, ""), **details, "teams": [], "contact_methods": [], "notification_rules": []}

    def service(self, service: Service) -> JsonObject:
        return {
            **self.reference(service, ""),
            "name": service.name,
            "status": "active",
            "alert_creation": "create_alerts_and_incidents",
            "escalation_policy": self.escalation_policy(service),
            "teams": [],
        }

    def escalation_policy(self, service: Service) -> JsonObject:
        path = f"/escalation_policies/{service.escalation_policy_id}"
        return {
            "id": service.escalation_policy_id,
            "type": "escalation_policy_reference",
            "summary": f"{service.name} on-call",
            "self": self.url + path,
            "html_url": None,
        }

    def on_call(self, service: Service) -> JsonObject:
        """Always on call: `start` and `end` are null, as for a person who stands in the policy without a schedule."""
        return {
            "user": self.reference(service.on_call),
            "schedule": None,
            "escalation_policy": self.escalation_policy(service),
            "escalation_level": 1,
            "start": None,
            "end": None,
        }

    def incident(self, incident: Incident) -> JsonObject:
        changed = incident.last_change
        return {
            **self.incident_reference(incident),
            "type": "incident",
            "incident_number": incident.number,
            "incident_key": incident.dedup_key,
            "title": title(incident),
            "status": incident.status,
            "urgency": "high",
            "created_at": stamp(incident.created_at),
            "updated_at": stamp(incident.log[-1].at),
            "last_status_change_at": stamp(changed.at),
            "last_status_change_by": self.reference(changed.agent),
            "resolved_at": stamp(changed.at) if incident.status == "resolved" else None,
            "service": self.reference(incident.service),
            "escalation_policy": self.escalation_policy(incident.service),
            "teams": [],
            "assigned_via": "escalation_policy",
            "assignments": self._assignments(incident),
            "acknowledgements": [
                {"at": stamp(one.at), "acknowledger": self.reference(one.agent)} for one in incident.acknowledgements
            ],
            "first_trigger_log_entry": self._log_entry_reference(incident, incident.log[0]),
            "alert_counts": {
                "all": 1,
                "triggered": int(not incident.alert_resolved),
                "resolved": int(incident.alert_resolved),
            },
            "pending_actions": [],
            "is_mergeable": True,
            "incident_type": {"name": "incident_default"},
        }

    def _assignments(self, incident: Incident) -> list[JsonObject]:
        """Nobody once resolved; whoever acknowledged last; until then the person on call."""
        if incident.status == "resolved":
            return []
        people = [one for one in incident.acknowledgements if isinstance(one.agent, User)]
        at, who = (people[-1].at, people[-1].agent) if people else (incident.created_at, incident.service.on_call)
        return [{"at": stamp(at), "assignee": self.reference(who)}]

    def log_entry(self, incident: Incident, entry: LogEntry) -> JsonObject:
        return {
            **self._log_entry_reference(incident, entry),
            "type": f"{entry.kind}_log_entry",
            "created_at": stamp(entry.at),
            "agent": self.reference(entry.agent),
            "channel": entry.channel,
            "service": self.reference(incident.service),
            "incident": self.incident_reference(incident),
            "teams": [],
            "contexts": [],
        }

    def note(self, note: Note) -> JsonObject:
        return {
            "id": note.id,
            "user": self.reference(note.user),
            "channel": {"summary": "The PagerDuty website or APIs"},
            "content": note.content,
            "created_at": stamp(note.at),
            "updated_at": stamp(note.at),
        }

    def alert(self, incident: Incident) -> JsonObject:
        payload = incident.event["payload"]
        alert_id = "A" + incident.id[1:]
        return {
            "id": alert_id,
            "type": "alert",
            "summary": payload["summary"],
            "self": f"{self.url}/incidents/{incident.id}/alerts/{alert_id}",
            "html_url": self._page(incident),
            "created_at": stamp(incident.created_at),
            "status": "resolved" if incident.alert_resolved else "triggered",
            "alert_key": incident.dedup_key,
            "severity": payload["severity"],
            "suppressed": False,
            "service": self.reference(incident.service),
            "incident": self.incident_reference(incident),
            "first_trigger_log_entry": self._log_entry_reference(incident, incident.log[0]),
            "body": {
                "type": "alert_body",
                "contexts": [{"type": "link", **link} for link in incident.event.get("links") or []],
                "details": payload.get("custom_details", {}),
            },
        }

    def incident_reference(self, incident: Incident) -> JsonObject:
        return {
            "id": incident.id,
            "type": "incident_reference",
            "summary": f"[#{incident.number}] {title(incident)}",
            "self": f"{self.url}/incidents/{incident.id}",
            "html_url": self._page(incident),
        }

    def reference(self, one: User | Service, suffix: str = "_reference") -> JsonObject:
        kind = "user" if isinstance(one, User) else "service"
        address = f"{self.url}/{kind}s/{one.id}"
        return {"id": one.id, "type": kind + suffix, "summary": one.name, "self": address, "html_url": None}

    def _log_entry_reference(self, incident: Incident, entry: LogEntry) -> JsonObject:
        return {
            "id": entry.id,
            "type": f"{entry.kind}_log_entry_reference",
            "summary": summary(entry),
            "self": f"{self.url}/log_entries/{entry.id}?incident_id={incident.id}",
            "html_url": self._page(incident),
        }

    def _page(self, incident: Incident) -> str:
        return f"{self.url}/#{incident.id}"


def title(incident: Incident) -> str:
    return str(incident.event["payload"]["summary"])


def summary(entry: LogEntry) -> str:
    if entry.kind == "trigger":
        return "Triggered through the API"
    verb = {"acknowledge": "Acknowledged", "resolve": "Resolved", "annotate": "Note added"}[entry.kind]
    return f"{verb} by {entry.agent.name}" if isinstance(entry.agent, User) else f"{verb} through the API"


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
