"""The page where a person reads the channels and presses the buttons."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from urllib.parse import parse_qs, urlencode

from jinja2 import Template
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from aegis_flows.lab import live_page
from aegis_flows.lab.slack import mrkdwn
from aegis_flows.lab.slack.interactivity import Button, Interactivity, NotPressed
from aegis_flows.lab.slack.workspace import Channel, JsonObject, Message, Workspace

SHOWN = 50
"""Messages of each channel, newest first."""


@dataclass(frozen=True, slots=True)
class Page:
    interactivity: Interactivity

    @property
    def workspace(self) -> Workspace:
        return self.interactivity.workspace

    async def show(self, request: Request) -> Response:
        return self._page(request.query_params.get("as", ""))

    async def press(self, request: Request) -> Response:
        """A form as a browser posts it: `button` is the button's value on the page, `as` the person's user id."""
        form = {key: values[0] for key, values in parse_qs((await request.body()).decode()).items()}
        try:
            button = Button(*json.loads(form["button"]))
        except (KeyError, TypeError, ValueError):
            return self._page("", "Not a button of this page.", 400)
        user_id = form.get("as", "")
        try:
            await self.interactivity.press(button, user_id, str(request.base_url))
        except NotPressed as reason:
            return self._page(user_id, str(reason), reason.status)
        return RedirectResponse(f"/?{urlencode({'as': user_id})}#{anchor(button.ts)}", status_code=303)

    async def permalink(self, request: Request) -> Response:
        return RedirectResponse(f"/#{request.path_params['anchor']}")

    def _page(self, user_id: str, notice: str = "", status: int = 200) -> Response:
        text = TEMPLATE.render(
            channels=[(one, list(islice(self._messages(one), SHOWN))) for one in self.workspace.channels],
            people=self.workspace.people,
            chosen=user_id,
            interactive=bool(self.interactivity.url),
            notice=notice,
            shown=SHOWN,
        )
        return HTMLResponse(text, status_code=status)

    def _messages(self, channel: Channel) -> Iterator[tuple[Message, list[Message]]]:
        """Newest first, each with its replies; ephemeral messages among them."""
        return ((one, self.workspace.replies(one)) for one in self.workspace.newest_first(channel) if not one.thread)


def anchor(ts: str) -> str:
    return "p" + ts.replace(".", "")


def moment(ts: str) -> datetime:
    return datetime.fromtimestamp(float(ts), UTC)


def button_value(message: Message, block: JsonObject, element: JsonObject) -> str:
    return json.dumps([message.ts, block["block_id"], element["action_id"]])


def _template() -> Template:
    environment = live_page.environment(Path(__file__).parent)
    filters = {
        "mrkdwn": mrkdwn.html,
        "emoji": mrkdwn.emoji,
        "anchor": anchor,
        "moment": moment,
    }
    environment.filters |= filters
    environment.globals["button_value"] = button_value
    return environment.get_template("page.html")


TEMPLATE = _template()
