from collections.abc import Iterator
from decimal import Decimal

import httpx
import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
from slack_sdk.webhook import WebhookClient

from aegis_flows.lab.loopback import serving
from aegis_flows.lab.slack.app import Options, app
from aegis_flows.lab.slack.workspace import Person

TOKEN = "xoxb-lab"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    options = Options(TOKEN, {"alerts": "aegis-alerts", "safety": "aegis-safety"}, (Person("U1", "Sam"),), ("oncall",))
    with serving(app(options)) as base_url:
        yield base_url


@pytest.fixture
def slack(url: str) -> WebClient:
    return WebClient(token=TOKEN, base_url=f"{url}/api/")


def channel_id(slack: WebClient, name: str) -> str:
    channels: list[dict[str, str]] = slack.conversations_list()["channels"]
    return next(channel["id"] for channel in channels if channel["name"] == name)


def error_of(refusal: pytest.ExceptionInfo[SlackApiError]) -> str:
    return str(refusal.value.response["error"])


def test_a_posted_message_is_the_newest_in_the_history(slack: WebClient) -> None:
    """`chat.postMessage` takes a channel's name, and history gives messages newest first under the channel's id."""
    first = slack.chat_postMessage(channel="#oncall", text="first")
    second = slack.chat_postMessage(channel="oncall", text="second")

    history = slack.conversations_history(channel=channel_id(slack, "oncall"), oldest=str(Decimal(first["ts"]) - 1))

    assert [message["ts"] for message in history["messages"]] == [second["ts"], first["ts"]]
    assert first["channel"] == channel_id(slack, "oncall")
    assert history["messages"][0]["text"] == "second"


def test_timestamps_never_repeat_or_go_back(slack: WebClient) -> None:
    """A message's ts is seconds and six digits of the server's clock, strictly increasing."""
    stamps = [slack.chat_postMessage(channel="oncall", text="x")["ts"] for _ in range(20)]

    assert stamps == sorted(set(stamps), key=Decimal)
    assert all(len(stamp.partition(".")[2]) == 6 for stamp in stamps)


def test_history_is_bounded_and_paged(slack: WebClient) -> None:
    """`oldest` and `latest` leave the bounds out unless inclusive; cursors walk back without repeats."""
    oncall = channel_id(slack, "oncall")
    stamps = [slack.chat_postMessage(channel=oncall, text=str(number))["ts"] for number in range(5)]

    between = slack.conversations_history(channel=oncall, oldest=stamps[0], latest=stamps[4])
    inclusive = slack.conversations_history(channel=oncall, oldest=stamps[0], latest=stamps[4], inclusive=True)
    walk = slack.conversations_history(channel=oncall, oldest=stamps[0], limit=2)
    pages = [[one["ts"] for one in page["messages"]] for page in walk]

    assert [one["ts"] for one in between["messages"]] == stamps[3:0:-1]
    assert [one["ts"] for one in inclusive["messages"]] == stamps[::-1]
    assert pages == [[stamps[4], stamps[3]], [stamps[2], stamps[1]]]


def test_blocks_come_back_with_ids_and_an_update_can_take_the_buttons_away(slack: WebClient) -> None:
    """Slack makes up missing ids; an update keeps blocks that it does not mention, and an empty list removes them."""
    button = {"type": "button", "text": {"type": "plain_text", "text": "Approve"}, "action_id": "approve"}
    posted = slack.chat_postMessage(channel="oncall", text="plan", blocks=[{"type": "actions", "elements": [button]}])
    where = {"channel": posted["channel"], "ts": posted["ts"]}

    kept = slack.chat_update(**where, text="approved by Sam")["message"]
    gone = slack.chat_update(**where, text="approved by Sam", blocks=[])["message"]

    assert posted["message"]["blocks"][0]["block_id"]
    assert kept["text"] == "approved by Sam"
    assert kept["blocks"] == posted["message"]["blocks"]
    assert kept["edited"]["user"] == posted["message"]["user"]
    assert gone["blocks"] == []


def test_a_reply_stands_in_its_thread_and_not_in_the_history(slack: WebClient) -> None:
    """A message with thread_ts is read with `conversations.replies`, after its parent."""
    parent = slack.chat_postMessage(channel="oncall", text="incident")
    reply = slack.chat_postMessage(channel="oncall", text="evidence", thread_ts=parent["ts"])
    oncall = str(parent["channel"])

    history = slack.conversations_history(channel=oncall, oldest=parent["ts"], inclusive=True)
    thread = slack.conversations_replies(channel=oncall, ts=parent["ts"])

    assert [one["ts"] for one in history["messages"]] == [parent["ts"]]
    assert [one["ts"] for one in thread["messages"]] == [parent["ts"], reply["ts"]]


def test_a_permalink_leads_to_the_message_on_the_page(slack: WebClient) -> None:
    """The permalink is an address of this stub that ends at the message's own anchor."""
    posted = slack.chat_postMessage(channel="oncall", text="look")
    link = slack.chat_getPermalink(channel=str(posted["channel"]), message_ts=posted["ts"])["permalink"]

    page = httpx.get(link, follow_redirects=True)

    assert str(page.url).endswith("#p" + posted["ts"].replace(".", ""))
    assert f'id="p{posted["ts"].replace(".", "")}"' in page.text


def test_the_token_is_checked(slack: WebClient, url: str) -> None:
    """A wrong token is `invalid_auth`, no token is `not_authed`, both with HTTP 200; the right one says who it is."""
    with pytest.raises(SlackApiError) as wrong:
        WebClient(token="xoxb-other", base_url=f"{url}/api/").auth_test()
    without = httpx.post(f"{url}/api/auth.test")

    assert error_of(wrong) == "invalid_auth"
    assert (without.status_code, without.json()) == (200, {"ok": False, "error": "not_authed"})
    assert slack.auth_test()["bot_id"]


@pytest.mark.parametrize(
    ("method", "arguments", "error"),
    [
        ("chat.postMessage", {"channel": "nowhere", "text": "x"}, "channel_not_found"),
        ("chat.postMessage", {"channel": "oncall"}, "no_text"),
        ("chat.postMessage", {"channel": "oncall", "text": "x" * 40_001}, "msg_too_long"),
        ("chat.postMessage", {"channel": "oncall", "text": "x", "blocks": "all"}, "invalid_blocks_format"),
        ("chat.postMessage", {"channel": "oncall", "text": "x", "blocks": [{"type": "poem"}]}, "invalid_blocks"),
        ("chat.postMessage", {"channel": "oncall", "text": "x", "thread_ts": "1.000001"}, "thread_not_found"),
        ("chat.update", {"channel": "oncall", "ts": "1.000001", "text": "x"}, "channel_not_found"),
        ("conversations.history", {"channel": "C0"}, "channel_not_found"),
        ("chat.dance", {}, "unknown_method"),
    ],
)
def test_refusals_have_slack_s_own_codes(
    slack: WebClient, method: str, arguments: dict[str, object], error: str
) -> None:
    """What is wrong with a call is told by the code that Slack uses for it."""
    with pytest.raises(SlackApiError) as refusal:
        slack.api_call(method, json=arguments)

    assert error_of(refusal) == error


def test_a_block_over_the_limit_is_named_by_its_pointer(slack: WebClient) -> None:
    """A section's text may have 3,000 characters; the refusal says which field has more."""
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}

    with pytest.raises(SlackApiError) as refusal:
        slack.chat_postMessage(channel="oncall", text="x", blocks=[block])

    assert refusal.value.response["errors"] == ["must be less than 3001 characters [json-pointer:/blocks/0/text/text]"]


def test_a_message_of_a_webhook_cannot_be_updated_by_the_bot(slack: WebClient, url: str) -> None:
    """`chat.update` is for the bot's own messages: for another's it is `cant_update_message`."""
    WebhookClient(f"{url}/services/T/alerts/secret").send(text="firing")
    alerts = channel_id(slack, "aegis-alerts")
    newest = slack.conversations_history(channel=alerts, limit=1)["messages"][0]

    with pytest.raises(SlackApiError) as refusal:
        slack.chat_update(channel=alerts, ts=newest["ts"], text="mine")

    assert error_of(refusal) == "cant_update_message"


def test_the_client_waits_out_a_rate_limit(url: str) -> None:
    """A drill's 429 has Retry-After, which slack_sdk's own handler obeys; then the call goes through."""
    slack = WebClient(token=TOKEN, base_url=f"{url}/api/", retry_handlers=[RateLimitErrorRetryHandler(2)])
    httpx.post(f"{url}/lab/fail", json={"status": 429, "count": 2, "retry_after": 0}).raise_for_status()

    posted = slack.chat_postMessage(channel="oncall", text="after the limit")

    assert posted["ok"]
    assert httpx.get(f"{url}/lab/fail").json()["count"] == 0


def test_a_drill_fails_only_the_paths_it_names(slack: WebClient, url: str) -> None:
    """With a path in the drill, webhooks fail with the ordered status while the Web API goes on."""
    drill = {"status": 500, "count": 1, "path": "/services/"}
    httpx.post(f"{url}/lab/fail", json=drill).raise_for_status()

    assert slack.auth_test()["ok"]
    assert WebhookClient(f"{url}/services/T/alerts/s").send(text="x").status_code == 500
    assert WebhookClient(f"{url}/services/T/alerts/s").send(text="x").status_code == 200


@pytest.mark.parametrize("body", [{"status": 200}, {"count": -1}, {"count": "two"}, {"times": 2}, []])
def test_what_is_no_drill_is_refused(url: str, body: object) -> None:
    """An order that makes no sense is a 400 that says what is wrong, and starts nothing."""
    answer = httpx.post(f"{url}/lab/fail", json=body)

    assert answer.status_code == 400
    assert answer.text.startswith("not a drill:")
    assert httpx.get(f"{url}/lab/fail").json()["count"] == 0
