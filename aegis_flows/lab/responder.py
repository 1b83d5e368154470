"""Plays the person on call: acknowledges in PagerDuty and approves in Prefect, through the doors people use."""

import argparse
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from aegis_flows import approvals
from aegis_flows.clients import clients
from aegis_flows.errors import AegisError

LOOK = 0.5


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--who", required=True, help="e-mail of the person who is on call")
    arguments.add_argument("--pace", type=float, default=3.0, help="seconds a person takes before acting")
    arguments.add_argument("--off", type=Path, required=True, help="while this file exists, nobody is there")
    given = arguments.parse_args()
    pace = timedelta(seconds=given.pace)
    print(f"{given.who} is on call, with a pace of {given.pace:g} s", flush=True)
    while True:
        if not given.off.exists():
            try:
                _acknowledge(given.who, pace)
                _approve(given.who, pace)
            except (AegisError, httpx.HTTPError) as error:
                print(f"could not act: {error}", flush=True)
        time.sleep(LOOK)


def _acknowledge(who: str, pace: timedelta) -> None:
    http = clients().pagerduty
    open_ones = http.get("incidents", params={"statuses[]": "triggered"}).raise_for_status().json()["incidents"]
    for incident in open_ones:
        if datetime.now(UTC) - datetime.fromisoformat(incident["created_at"]) < pace:
            continue
        body = {"incident": {"type": "incident_reference", "status": "acknowledged"}}
        http.put(f"incidents/{incident['id']}", json=body, headers={"From": who}).raise_for_status()
        print(f"acknowledged {incident['id']}", flush=True)


def _approve(who: str, pace: timedelta) -> None:
    for run in approvals.waiting():
        if run.state and datetime.now(UTC) - run.state.timestamp < pace:
            continue
        approvals.answer(run.id, "approve", who, "The diagnosis and the commands fit the alert.", "lab responder")
        print(f"approved {run.name}", flush=True)


if __name__ == "__main__":
    main()
