"""The REST API's handlers: each takes a call and gives the answer's body."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aegis_flows.lab.pagerduty import account as accounts
from aegis_flows.lab.pagerduty.account import CHANGES, Account, Incident, JsonObject, LogEntry, User
from aegis_flows.lab.pagerduty.call import Call, Handler, answer
from aegis_flows.lab.pagerduty.faults import invalid, not_found
from aegis_flows.lab.pagerduty.incident_query import incident_query
from aegis_flows.lab.pagerduty.paging import only, page

NO_MORE: frozenset[str] = frozenset()


def routes(account: Account, token: str) -> list[Route]:
    def route(path: str, handler: Handler, method: str = "GET") -> Route:
        async def endpoint(request: Request) -> Response:
            return await answer(request, account, token, handler)

        return Route(path, endpoint, methods=[method])

    return [
        route("/incidents", list_incidents),
        route("/incidents/{id}", get_incident),
        route("/incidents/{id}", update_incident, "PUT"),
        route("/incidents/{id}/notes", list_notes),
        route("/incidents/{id}/notes", create_note, "POST"),
        route("/incidents/{id}/log_entries", list_log_entries),
        route("/incidents/{id}/alerts", list_alerts),
        route("/users", list_users),
        route("/users/me", get_me),
        route("/users/{id}", get_user),
        route("/oncalls", list_oncalls),
        route("/services", list_services),
    ]


def list_incidents(call: Call) -> JsonObject:
    params = call.request.query_params
    found = incident_query(params, accounts.now()).of(call.account.incidents.values())
    return page(params).of("incidents", found, call.wire.incident)


def get_incident(call: Call) -> JsonObject:
    return {"incident": call.wire.incident(call.incident())}


def update_incident(call: Call) -> JsonObject:
    """Acknowledging a resolved incident reopens it; resolving one again is refused."""
    incident, requester = call.incident(), call.requester()
    wanted = call.part("incident", frozenset({"type", "status", "resolution", "id"}))
    if wanted.get("type") not in ("incident", "incident_reference"):
        raise invalid("Type must be incident or incident_reference.")
    changed = change(call.account, incident, str(wanted.get("status")), requester, {"type": "api"})
    return {"incident": call.wire.incident(changed)}


def change(account: Account, incident: Incident, status: str, user: User, channel: JsonObject) -> Incident:
    """What a person does to an incident, through the API or on the page."""
    if status not in CHANGES:
        raise invalid("Status must be acknowledged or resolved.")
    if status == incident.status == "resolved":
        raise invalid("Incident Already Resolved")
    kind, changed = CHANGES[status]
    return account.keep(changed(incident, LogEntry(kind, user, channel)))


def list_notes(call: Call) -> JsonObject:
    """Newest first."""
    return {"notes": [call.wire.note(note) for note in reversed(call.incident().notes)]}


def create_note(call: Call) -> JsonObject:
    incident, requester = call.incident(), call.requester()
    content = call.part("note", frozenset({"content"})).get("content")
    if not isinstance(content, str) or not content.strip():
        raise invalid("Content cannot be empty.")
    changed = call.account.keep(accounts.annotated(incident, requester, content))
    return {"note": call.wire.note(changed.notes[-1])}


def list_log_entries(call: Call) -> JsonObject:
    """Newest first, also within one second."""
    only(call.request.query_params, NO_MORE)
    incident = call.incident()
    entries = incident.log[::-1]
    return page(call.request.query_params).of("log_entries", entries, lambda one: call.wire.log_entry(incident, one))


def list_alerts(call: Call) -> JsonObject:
    """One alert: events with its dedup key go into it."""
    only(call.request.query_params, NO_MORE)
    return page(call.request.query_params).of("alerts", [call.incident()], call.wire.alert)


def list_users(call: Call) -> JsonObject:
    """`query` is a part of a name or an email address, in any case."""
    params = call.request.query_params
    only(params, frozenset({"query"}))
    wanted = params.get("query", "").lower()
    found = [user for user in call.account.users if wanted in f"{user.name} {user.email}".lower()]
    return page(params).of("users", found, call.wire.user)


def get_me(_: Call) -> JsonObject:
    """The token is the account's and not a person's, so there is no «me»."""
    raise invalid("A user-level API token is required for this request.")


def get_user(call: Call) -> JsonObject:
    found = [user for user in call.account.users if user.id == call.request.path_params["id"]]
    if not found:
        raise not_found()
    return {"user": call.wire.user(found[0])}


def list_oncalls(call: Call) -> JsonObject:
    params = call.request.query_params
    only(params, frozenset({"escalation_policy_ids[]", "user_ids[]"}))
    policies, users = set(params.getlist("escalation_policy_ids[]")), set(params.getlist("user_ids[]"))
    found = [
        service
        for service in call.account.services
        if (not policies or service.escalation_policy_id in policies) and (not users or service.on_call.id in users)
    ]
    return page(params).of("oncalls", found, call.wire.on_call)


def list_services(call: Call) -> JsonObject:
    """`query` is a part of a name, in any case."""
    params = call.request.query_params
    only(params, frozenset({"query"}))
    found = [one for one in call.account.services if params.get("query", "").lower() in one.name.lower()]
    return page(params).of("services", found, call.wire.service)
