"""`python -m aegis_flows.lab.slack`: the Slack stub as a process."""

import argparse

from aegis_flows.lab.loopback import HOST, serve
from aegis_flows.lab.slack.app import Options, app
from aegis_flows.lab.slack.workspace import Person


def main() -> None:
    parser = argparse.ArgumentParser(prog="aegis_flows.lab.slack", description="A Slack workspace in memory.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", required=True, help="the bot token that the Web API accepts")
    parser.add_argument(
        "--webhook", action="append", type=hook, default=[], metavar="HOOK=#CHANNEL",
        help="/services/any/HOOK/any posts in the channel",
    )  # fmt: skip
    parser.add_argument(
        "--channel", action="append", default=[], metavar="#CHANNEL", help="a channel without a webhook"
    )
    parser.add_argument(
        "--user", action="append", type=person, default=[], metavar="ID=NAME", help="who may press buttons on the page"
    )
    parser.add_argument("--interactivity-url", default="", help="where pressed buttons are sent; without it none works")
    parser.add_argument("--signing-secret", default="", help="signs what is sent to the interactivity URL")
    flags = parser.parse_args()
    if flags.interactivity_url and not flags.signing_secret:
        parser.error("--interactivity-url needs --signing-secret: a press is always signed")
    channels = tuple(name.removeprefix("#") for name in flags.channel)
    options = Options(
        token=flags.token,
        webhooks=dict(flags.webhook),
        people=tuple(flags.user) or (Person("U0AEGISLAB", "Lab user"),),
        channels=channels,
        interactivity_url=flags.interactivity_url,
        signing_secret=flags.signing_secret,
    )
    print(f"slack: http://{HOST}:{flags.port}/", flush=True)
    serve(app(options), flags.port)


def hook(text: str) -> tuple[str, str]:
    name, _, channel = text.partition("=")
    if not name or "/" in name or not channel.removeprefix("#"):
        raise argparse.ArgumentTypeError(f"{text!r} is not HOOK=#CHANNEL")
    return name, channel.removeprefix("#")


def person(text: str) -> Person:
    user_id, _, name = text.partition("=")
    if not user_id or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not ID=NAME")
    return Person(user_id, name)


if __name__ == "__main__":
    main()
