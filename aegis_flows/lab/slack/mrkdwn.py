"""Slack's mrkdwn as HTML (docs.slack.dev/messaging/formatting-message-text); everything else in the text is escaped."""

import re
from collections.abc import Callable

from markupsafe import Markup, escape

CODE = re.compile(r"```\n?(?P<block>.+?)\n?```|`(?P<inline>[^`\n]+)`", re.DOTALL)
TOKEN = re.compile(r"<(?P<target>[^<>|\n]+)(?:\|(?P<label>[^<>\n]+))?>")
QUOTE = re.compile(r"^(?:&gt;|>) ?(.*)$", re.MULTILINE)
STYLES = {"*": "strong", "_": "em", "~": "s"}
PLACE = re.compile("\x00(\\d+)\x00")
EMOJI = {
    "rotating_light": "🚨", "fire": "🔥", "warning": "⚠️", "white_check_mark": "✅", "heavy_check_mark": "✔️", "x": "❌",
    "eyes": "👀", "hourglass": "⌛", "hourglass_flowing_sand": "⏳", "stopwatch": "⏱️", "bell": "🔔", "pager": "📟",
    "red_circle": "🔴", "large_green_circle": "🟢", "large_yellow_circle": "🟡", "lock": "🔒", "rocket": "🚀",
    "no_entry": "⛔", "question": "❓", "memo": "📝", "mag": "🔍", "wrench": "🔧",
}  # fmt: skip


def html(source: object) -> Markup:
    """Code and links are set aside while the rest is styled, so that a star inside them stays a star."""
    aside: list[Markup] = []

    def keep(render: Callable[[re.Match[str]], Markup]) -> Callable[[re.Match[str]], str]:
        def place(match: re.Match[str]) -> str:
            aside.append(render(match))
            return f"\x00{len(aside) - 1}\x00"

        return place

    kept = CODE.sub(keep(_code), str(source).replace("\x00", ""))
    kept = TOKEN.sub(keep(_token), kept)
    styled = _styled(str(escape(_unescaped(kept))))
    return Markup(PLACE.sub(lambda match: aside[int(match[1])], styled))  # noqa: S704 (escaped piece by piece above)


def emoji(text: object) -> str:
    """Names of emoji that this stub does not know stay as they are."""
    return re.sub(r":([a-z0-9_+-]+):", lambda match: EMOJI.get(match[1], match[0]), str(text))


def _unescaped(text: str) -> str:
    """Slack's three entities; `&lt;` must come before `&amp;`."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _code(match: re.Match[str]) -> Markup:
    if match["block"] is not None:
        return Markup("<pre>{}</pre>").format(_unescaped(match["block"]))
    return Markup("<code>{}</code>").format(_unescaped(match["inline"]))


def _token(match: re.Match[str]) -> Markup:
    target, label = _unescaped(match["target"]), match["label"] and _unescaped(match["label"])
    if target.startswith(("http://", "https://", "mailto:")):
        return Markup('<a href="{}" rel="noreferrer">{}</a>').format(target, label or target)
    if target.startswith(("@", "#", "!")):
        return Markup('<span class="mention">{}</span>').format(_mention(target, label))
    return escape(_unescaped(match[0]))


def _mention(target: str, label: str | None) -> str:
    if target.startswith("!date"):
        return label or target
    return (target[0] if target[0] != "!" else "@") + (label or target[1:]).lstrip("@#")


def _styled(text: str) -> str:
    for mark, tag in STYLES.items():
        star = re.escape(mark)
        pair = re.compile(rf"(?<![\w{star}]){star}(?=\S)([^{star}\n]+?)(?<=\S){star}(?![\w{star}])")
        text = pair.sub(rf"<{tag}>\1</{tag}>", text)
    text = QUOTE.sub(r"<blockquote>\1</blockquote>", text)
    return emoji(text).replace("\n", "<br>").replace("</blockquote><br>", "</blockquote>")
