"""`python -m aegis_flows.lab.pagerduty`: the PagerDuty stub as a process."""

import argparse
from email.utils import parseaddr

from aegis_flows.lab.loopback import HOST, serve
from aegis_flows.lab.pagerduty.account import Service, User
from aegis_flows.lab.pagerduty.app import app
from aegis_flows.lab.pagerduty.events import KEY_LENGTH


def main() -> None:
    parser = argparse.ArgumentParser(prog="aegis_flows.lab.pagerduty", description="A PagerDuty account in memory.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", required=True, help="the account's API key for the REST API")
    parser.add_argument(
        "--user", action="append", type=user, required=True, metavar="NAME <EMAIL>",
        help="who may stand in From and press buttons",
    )  # fmt: skip
    parser.add_argument(
        "--routing-key", action="append", type=routing_key, required=True, metavar="SERVICE=KEY",
        help=f"a service and its key for events: {KEY_LENGTH} letters and digits, as a real one",
    )  # fmt: skip
    parser.add_argument(
        "--on-call", action="append", type=pair, default=[], metavar="SERVICE=EMAIL",
        help="who is on call for a service; the first user, if not said",
    )  # fmt: skip
    flags = parser.parse_args()
    try:
        services = with_on_call(tuple(flags.user), dict(flags.routing_key), dict(flags.on_call))
    except ValueError as error:
        parser.error(str(error))
    print(f"pagerduty: http://{HOST}:{flags.port}/", flush=True)
    serve(app(tuple(flags.user), services, flags.token), flags.port)


def with_on_call(users: tuple[User, ...], keys: dict[str, str], on_call: dict[str, str]) -> tuple[Service, ...]:
    by_email = {user.email: user for user in users}
    if unknown := on_call.keys() - keys.keys() or {email for email in on_call.values() if email not in by_email}:
        raise ValueError(f"--on-call names what no --routing-key or --user gives: {', '.join(sorted(unknown))}")
    return tuple(Service(name, key, by_email[on_call.get(name, users[0].email)]) for name, key in keys.items())


def user(text: str) -> User:
    name, email = parseaddr(text)
    if not name or "@" not in email:
        raise argparse.ArgumentTypeError(f"{text!r} is not 'Name <email>'")
    return User(name, email.lower())


def routing_key(text: str) -> tuple[str, str]:
    name, key = pair(text)
    if len(key) != KEY_LENGTH or not key.isalnum():
        raise argparse.ArgumentTypeError(f"the key of {name!r} is not {KEY_LENGTH} letters and digits")
    return name, key


def pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not name or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


if __name__ == "__main__":
    main()
