"""The stub's addresses."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from aegis_flows.lab.drills import FailOnDemand
from aegis_flows.lab.slack import web_api
from aegis_flows.lab.slack.interactivity import Interactivity
from aegis_flows.lab.slack.page import Page
from aegis_flows.lab.slack.response_urls import ResponseUrls
from aegis_flows.lab.slack.webhooks import Webhooks
from aegis_flows.lab.slack.workspace import Channel, Person, Workspace


@dataclass(frozen=True, slots=True)
class Options:
    token: str
    """The bot's, for the Web API."""
    webhooks: Mapping[str, str]
    """Hook to channel name, without the hash sign."""
    people: tuple[Person, ...]
    channels: tuple[str, ...] = ()
    """Channels that no webhook posts in."""
    interactivity_url: str = ""
    signing_secret: str = ""


def app(options: Options) -> FailOnDemand:
    names = dict.fromkeys([*options.webhooks.values(), *options.channels])
    workspace = Workspace(tuple(Channel(name) for name in names), options.people)
    webhooks = Webhooks(workspace, options.webhooks)
    response_urls = ResponseUrls(workspace)
    page = Page(Interactivity(workspace, response_urls, options.interactivity_url, options.signing_secret))

    async def api(request: Request) -> Response:
        return await web_api.answer(request, workspace, options.token)

    async def dump(_: Request) -> Response:
        return JSONResponse(_dump(workspace))

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    routes = [
        Route("/services/{team}/{hook}/{token}", webhooks.receive, methods=["POST"]),
        Route("/api/{method}", api, methods=["GET", "POST"]),
        Route("/actions/{team}/{key}", response_urls.receive, methods=["POST"]),
        Route("/", page.show),
        Route("/press", page.press, methods=["POST"]),
        Route("/archives/{channel}/{anchor}", page.permalink),
        Route("/lab/messages", dump),
        Route("/health", health),
    ]
    return FailOnDemand(Starlette(routes=routes), ("/services/", "/api/", "/actions/"), _failure)


def _dump(workspace: Workspace) -> dict[str, object]:
    """Every message of every channel, oldest first, replies and ephemeral ones among them."""
    return {
        "channels": [
            {
                "id": channel.id,
                "name": channel.name,
                "messages": [
                    {**one.shown(), "seen_by": one.seen_by}
                    for one in workspace.messages.values()
                    if one.channel == channel
                ],
            }
            for channel in workspace.channels
        ]
    }


def _failure(status: int) -> Response:
    """Slack answers 429 with JSON, and with plain text when it is down."""
    if status == 429:  # noqa: PLR2004 (HTTP)
        return JSONResponse({"ok": False, "error": "ratelimited"}, status_code=status)
    return PlainTextResponse("lab drill", status_code=status)
