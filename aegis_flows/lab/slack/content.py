"""What a message says: read from a request, checked, and kept in the form in which the API gives it back."""

import re
import secrets
from collections.abc import Iterator
from itertools import chain

from starlette.requests import Request

from aegis_flows.lab.slack import block_kit
from aegis_flows.lab.slack.workspace import JsonObject

COLOURS = {"good": "2eb886", "warning": "daa038", "danger": "a30200"}
MAX_TEXT = 40_000
SHOWN = ("pretext", "author_name", "title", "title_link", "text", "value", "url", "footer", "color")
LISTS = ("fields", "actions", "blocks")
HEX_COLOUR = re.compile(r"#?([0-9a-fA-F]{6})")


class Refused(Exception):
    """An answer `{"ok": false, "error": code}`; `faults` name what was wrong, as Slack lists them."""

    def __init__(self, code: str, faults: tuple[str, ...] = ()) -> None:
        super().__init__(code)
        self.code = code
        self.faults = faults


def changes(args: JsonObject) -> JsonObject:
    """The parts that the request gives, checked; a part that it leaves out is left out here too."""
    text = args.get("text", "")
    if not isinstance(text, str):
        raise Refused("invalid_arguments")
    if len(text) > MAX_TEXT:
        raise Refused("msg_too_long")
    given: JsonObject = {"text": text} if "text" in args else {}
    if args.get("blocks") is not None:
        given["blocks"] = _blocks(args["blocks"])
    if args.get("attachments") is not None:
        given["attachments"] = _attachments(args["attachments"])
    return given


def whole(args: JsonObject) -> JsonObject:
    """A new message's content; one without any text, block or attachment is refused."""
    content = {"text": "", **changes(args)}
    if not any(content.values()):
        raise Refused("no_text")
    return content


async def posted(request: Request) -> JsonObject:
    """The JSON object that a webhook or a response_url was sent."""
    try:
        body = await request.json()
    except ValueError:
        raise Refused("invalid_payload") from None
    if not isinstance(body, dict):
        raise Refused("invalid_payload")
    return body


def buttons(body: JsonObject) -> Iterator[tuple[JsonObject, JsonObject]]:
    """Each button of the message with the block it stands in."""
    within = (attachment.get("blocks", []) for attachment in body.get("attachments", []))
    for block in chain(body.get("blocks", []), *within):
        for element in [*block.get("elements", []), block.get("accessory", {})]:
            if element.get("type") == "button":
                yield block, element


def _blocks(blocks: object) -> list[JsonObject]:
    if not isinstance(blocks, list):
        raise Refused("invalid_blocks_format")
    if blocks and (faults := block_kit.faults(blocks)):
        raise Refused("invalid_blocks", tuple(faults))
    return [_with_ids(block) for block in blocks]


def _attachments(attachments: object) -> list[JsonObject]:
    if not isinstance(attachments, list) or not all(_is_attachment(one) for one in attachments):
        raise Refused("invalid_attachments")
    return [_stored(number, attachment) for number, attachment in enumerate(attachments, start=1)]


def _is_attachment(one: object) -> bool:
    """Lists where the page walks through lists, and text where it shows text."""
    if not isinstance(one, dict):
        return False
    lists = [one.get(key) or [] for key in LISTS if key != "blocks"]
    listed = all(isinstance(items, list) and all(isinstance(item, dict) for item in items) for items in lists)
    shown = [one, *chain.from_iterable(lists)] if listed else []
    return listed and not any(isinstance(part.get(key), dict | list) for part in shown for key in SHOWN)


def _stored(number: int, attachment: JsonObject) -> JsonObject:
    """Numbered from 1; named colours become hex without the hash sign, as in `conversations.history`."""
    colour = str(attachment.get("color"))
    as_hex = HEX_COLOUR.fullmatch(colour)
    given = {key: value for key, value in attachment.items() if value or key not in LISTS}
    kept = {**given, "id": number, "color": COLOURS.get(colour, as_hex[1] if as_hex else "dddddd")}
    if "blocks" in given:
        kept["blocks"] = _blocks(given["blocks"])
    return kept


def _with_ids(block: JsonObject) -> JsonObject:
    """Slack makes up the ids that a request leaves out."""
    named = {"block_id": secrets.token_urlsafe(4), **block}
    if block["type"] == "actions":
        named["elements"] = [_with_action_id(element) for element in block["elements"]]
    if "accessory" in block:
        named["accessory"] = _with_action_id(block["accessory"])
    return named


def _with_action_id(element: JsonObject) -> JsonObject:
    return {"action_id": secrets.token_urlsafe(4), **element}
