from collections.abc import Iterator

import httpx
import pytest
from slack_sdk import WebClient

from aegis_flows.lab.loopback import serving
from aegis_flows.lab.slack import mrkdwn
from aegis_flows.lab.slack.app import Options, app

BUTTON = {"type": "button", "text": {"type": "plain_text", "text": "Approve"}, "action_id": "approve"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(app(Options("xoxb-lab", {"alerts": "aegis-alerts"}, ()))) as base_url:
        yield base_url


def test_everything_a_message_may_hold_is_on_the_page(url: str) -> None:
    """Text, fields, headers, context and attachments are readable; where no app listens, buttons are disabled."""
    blocks: list[dict[str, object]] = [
        {"type": "header", "text": {"type": "plain_text", "text": "A plan"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "*bold* words"}, "accessory": BUTTON},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "a field"}]},
        {"type": "divider"},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "the small print"}]},
        {"type": "actions", "elements": [{**BUTTON, "text": {"type": "plain_text", "text": "Decline"}}]},
    ]
    attachments = [{"color": "danger", "title": "A title", "title_link": "http://127.0.0.1/x", "text": "its text"}]
    slack = WebClient(token="xoxb-lab", base_url=f"{url}/api/")
    slack.chat_postMessage(channel="aegis-alerts", text="x", blocks=blocks, attachments=attachments)

    page = httpx.get(url).text

    for part in (
        "A plan",
        "<strong>bold</strong> words",
        "a field",
        "the small print",
        "A title",
        "its text",
        "#a30200",
    ):
        assert part in page
    assert page.count("disabled") >= 2


def test_the_page_asks_nothing_of_other_hosts(url: str) -> None:
    """Style and script are in the page itself."""
    page = httpx.get(url).text

    assert '<link rel="stylesheet"' not in page
    assert "src=" not in page


def test_text_from_outside_stays_text(url: str) -> None:
    """Markup and script addresses in a message neither run nor lead anywhere."""
    attachment = {"title": "<img src=x>", "title_link": "javascript:alert(1)", "text": "<script>alert(1)</script>"}
    httpx.post(f"{url}/services/T/alerts/x", json={"attachments": [attachment]}).raise_for_status()

    page = httpx.get(url).text

    assert "<img" not in page
    assert "javascript:" not in page
    assert "<script>alert" not in page


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*bold* _slanted_ ~gone~", "<strong>bold</strong> <em>slanted</em> <s>gone</s>"),
        ("snake_case_name and 2*3*4", "snake_case_name and 2*3*4"),
        ("run `kubectl get *` now", "run <code>kubectl get *</code> now"),
        ("```\na *b*\nc\n```", "<pre>a *b*\nc</pre>"),
        ("*<http://a/b_c|_board_>*", '<strong><a href="http://a/b_c" rel="noreferrer">_board_</a></strong>'),
        ("<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;"),
        ("a &lt; b &amp;&amp; c", "a &lt; b &amp;&amp; c"),
        ("<@U1> on <#C1|alerts>", '<span class="mention">@U1</span> on <span class="mention">#alerts</span>'),
        ("<!here>", '<span class="mention">@here</span>'),
        ("> quoted\nnot", "<blockquote>quoted</blockquote>not"),
        (":fire: :no_such_thing:", "🔥 :no_such_thing:"),
        ("one\ntwo", "one<br>two"),
    ],
)
def test_mrkdwn_becomes_html(text: str, html: str) -> None:
    """Each mark of mrkdwn has its element, code and links keep what is inside, and the rest is escaped."""
    assert mrkdwn.html(text) == html
