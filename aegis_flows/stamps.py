"""Timed facts with their evidence. Pure values."""

from datetime import timedelta
from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field

from aegis_flows.domain import Value


class StampName(StrEnum):
    """The nine moments of a drill, in the order in which they should come."""

    injected = "injected"
    verified = "verified"
    firing = "firing"
    routed = "routed"
    slack_seen = "slack_seen"
    pagerduty_opened = "pagerduty_opened"
    acknowledged = "acknowledged"
    mitigated = "mitigated"
    restored = "restored"


class Stamp(Value):
    """One moment, told by the clock of the system that saw it."""

    name: StampName
    at: AwareDatetime = Field(description="By the source's own clock, with time zone.")
    source: str = Field(description="The system whose clock and id these are, e.g. prometheus, slack, pagerduty.")
    evidence: str = Field(description="The source's own id of what was seen: a message ts, an incident id, a series.")
    detail: str = Field("", description="One sentence for a person.")
    by: Literal["person", "automation", ""] = Field("", description="Who did it, where somebody did.")
    resolution: timedelta = Field(
        timedelta(milliseconds=1), description="How finely the source's clock tells time; PagerDuty: one second."
    )
