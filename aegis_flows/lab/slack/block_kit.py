"""Which blocks Slack accepts: the limits of Block Kit (docs.slack.dev/reference/block-kit)."""

from collections.abc import Callable, Iterator

Check = Callable[[object, str], Iterator[str]]
ANY_TEXT = frozenset({"mrkdwn", "plain_text"})
PLAIN = frozenset({"plain_text"})


def faults(blocks: object) -> list[str]:
    """What Slack would refuse, with a JSON pointer as Slack writes it; also block types that the page cannot show."""
    return list(_items(blocks, "/blocks", 50, _block))


def _block(block: object, at: str) -> Iterator[str]:
    kind = _type(block)
    if not isinstance(block, dict) or kind not in {"section", "header", "context", "actions", "divider"}:
        yield f"unsupported type: {kind} [json-pointer:{at}/type]"
    elif kind == "section":
        yield from _section(block, at)
    elif kind == "header":
        yield from _text(block.get("text"), f"{at}/text", 150, PLAIN)
    elif kind == "context":
        yield from _items(block.get("elements"), f"{at}/elements", 10, _paragraph)
    elif kind == "actions":
        yield from _items(block.get("elements"), f"{at}/elements", 25, _button)


def _section(block: dict[str, object], at: str) -> Iterator[str]:
    if not block.keys() & {"text", "fields"}:
        yield f"missing required field: fields or text [json-pointer:{at}]"
    if "text" in block:
        yield from _text(block["text"], f"{at}/text", 3000)
    if "fields" in block:
        yield from _items(block["fields"], f"{at}/fields", 10, _paragraph)
    if "accessory" in block:
        yield from _button(block["accessory"], f"{at}/accessory")


def _items(items: object, at: str, most: int, check: Check) -> Iterator[str]:
    if not isinstance(items, list) or not items:
        yield f"must be a list with at least 1 item [json-pointer:{at}]"
    elif len(items) > most:
        yield f"no more than {most} items allowed [json-pointer:{at}]"
    else:
        for number, item in enumerate(items):
            yield from check(item, f"{at}/{number}")


def _paragraph(element: object, at: str) -> Iterator[str]:
    return _text(element, at, 2000)


def _button(element: object, at: str) -> Iterator[str]:
    if not isinstance(element, dict) or _type(element) != "button":
        yield f"unsupported type: {_type(element)} [json-pointer:{at}/type]"
        return
    yield from _text(element.get("text"), f"{at}/text", 75, PLAIN)
    for key, most in {"action_id": 255, "value": 2000, "url": 3000}.items():
        if len(str(element.get(key, ""))) > most:
            yield f"must be less than {most + 1} characters [json-pointer:{at}/{key}]"


def _text(element: object, at: str, most: int, kinds: frozenset[str] = ANY_TEXT) -> Iterator[str]:
    text = element.get("text") if isinstance(element, dict) else None
    if _type(element) not in kinds:
        yield f"unsupported type: {_type(element)} [json-pointer:{at}/type]"
    elif not isinstance(text, str) or not text:
        yield f"must be more than 0 characters [json-pointer:{at}/text]"
    elif len(text) > most:
        yield f"must be less than {most + 1} characters [json-pointer:{at}/text]"


def _type(element: object) -> str | None:
    kind = element.get("type") if isinstance(element, dict) else None
    return kind if isinstance(kind, str) else None
