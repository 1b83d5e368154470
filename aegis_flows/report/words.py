"""How times and names are said: never finer than the clock that told them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from aegis_flows.ledger import Drill, Duration, GameDay
from aegis_flows.stamps import Stamp, StampName

COARSE = 0.1
UNPROVEN = "unproven"
MINUS = "\N{MINUS SIGN}"  # as wide as the plus


def seconds(value: float, resolution: float = 0.0) -> str:
    """4.13 s, 31.4 s, 2 min 14 s, 1 h 02 min; a resolution coarser than 0.1 s is said too: 6 s ± 1 s."""
    digits = 0 if resolution >= 1 else 1 if resolution >= COARSE or value >= 9.995 else 2  # noqa: PLR2004  said as 10.0
    said = f"{value:.{digits}f} s" if value < 120 else _long(value)  # noqa: PLR2004  up to two minutes seconds read best
    return f"{said} ± {resolution:g} s" if resolution > COARSE else said


def _long(value: float) -> str:
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def told(duration: Duration) -> str:
    return UNPROVEN if duration.seconds is None else seconds(duration.seconds, duration.resolution)


def offset(stamp: Stamp, drill: Drill) -> str:
    """The time since the injection, signed; without an injection there is nothing to count from."""
    injected = drill.stamp(StampName.injected)
    if injected is None:
        return UNPROVEN
    if stamp.name is StampName.injected:
        return "0 s"
    apart = (stamp.at - injected.at).total_seconds()
    resolution = max(stamp.resolution, injected.resolution).total_seconds()
    return f"{MINUS if apart < 0 else '+'}{seconds(abs(apart), resolution)}"


def tick(value: float, digits: int) -> str:
    """A round second of the axis: −10 s, 0 s, 1,200 s."""  # noqa: RUF002  the minus is as wide as the plus
    return f"{value:,.{digits}f} s".replace("-", MINUS)


def clock(at: datetime, resolution: timedelta = timedelta(milliseconds=1)) -> str:
    """The time of day in UTC, with as many digits as the clock tells."""
    precision = "seconds" if resolution >= timedelta(seconds=1) else "milliseconds"
    return at.astimezone(UTC).time().isoformat(precision)


def day_and_time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def took(start: datetime, end: datetime | None) -> str:
    return "not ended" if end is None else f"took {seconds(max(0.0, (end - start).total_seconds()))}"


def spaced(name: str) -> str:
    """slack_seen → slack seen."""
    return name.replace("_", " ")


def title(drill: Drill) -> str:
    return f"{drill.exercise}/{drill.variant}" if drill.variant else drill.exercise


def listed(parts: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def run_page(day: GameDay, run_id: str) -> str:
    """The flow run's page in Prefect, or nothing; what is not http(s) never becomes a link."""
    if not run_id or not day.prefect_url.startswith(("http://", "https://")):
        return ""
    return f"{day.prefect_url.rstrip('/')}/runs/flow-run/{quote(run_id, safe='')}"
