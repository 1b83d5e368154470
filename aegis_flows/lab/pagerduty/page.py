"""The page where a person reads the incidents and acknowledges or resolves them."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlencode

from jinja2 import Template
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from aegis_flows.lab import live_page
from aegis_flows.lab.pagerduty import rest, wire
from aegis_flows.lab.pagerduty.account import Account, Incident
from aegis_flows.lab.pagerduty.faults import RestError

SHOWN = 50
"""Incidents, newest first, with the open ones before the resolved."""


@dataclass(frozen=True, slots=True)
class Page:
    account: Account

    async def show(self, request: Request) -> Response:
        return self._page(request.query_params.get("as", ""))

    async def press(self, request: Request) -> Response:
        """A form as a browser posts it: `button` is an incident's id and the wanted status, `as` the person's email."""
        form = {key: values[0] for key, values in parse_qs((await request.body()).decode()).items()}
        incident_id, _, status = form.get("button", "").partition("/")
        email = form.get("as", "")
        try:
            self._press(incident_id, status, email)
        except RestError as error:
            return self._page(email, "; ".join(error.errors or (error.message,)), error.status)
        return RedirectResponse(f"/?{urlencode({'as': email})}#{incident_id}", status_code=303)

    def _press(self, incident_id: str, status: str, email: str) -> None:
        incident, user = self.account.incidents.get(incident_id), self.account.user(email)
        if incident is None or user is None:
            raise RestError(404, 2100, "There is no such incident or person here.")
        rest.change(self.account, incident, status, user, {"type": "website"})

    def _page(self, email: str, notice: str = "", status: int = 200) -> Response:
        newest_first = sorted(self.account.incidents.values(), key=_open_first, reverse=True)
        text = TEMPLATE.render(
            incidents=newest_first[:SHOWN],
            more=len(newest_first) > SHOWN,
            shown=SHOWN,
            users=self.account.users,
            chosen=email,
            notice=notice,
        )
        return HTMLResponse(text, status_code=status)


def _open_first(incident: Incident) -> tuple[bool, int]:
    return incident.status != "resolved", incident.number


def _template() -> Template:
    environment = live_page.environment(Path(__file__).parent)
    environment.filters |= {"title_of": wire.title, "summary_of": wire.summary}
    return environment.get_template("page.html")


TEMPLATE = _template()
