"""Dates as OpenSearch reads them: ISO 8601, epoch milliseconds, and date math (`now-15m`, `2026-01-01||+1d/d`)."""

import re
from datetime import UTC, datetime, timedelta

ISO = re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d(:?\d\d(:?\d\d([.,]\d{1,9})?)?)?(Z|[+-]\d\d(:?\d\d)?)?)?)?)?")
STEP = re.compile(r"([+-])(\d*)([yMwdhHms])|/([yMwdhHms])")
UNITS = {"w": timedelta(weeks=1), "d": timedelta(days=1), "h": timedelta(hours=1), "H": timedelta(hours=1)}
UNITS |= {"m": timedelta(minutes=1), "s": timedelta(seconds=1)}
MONTHS = {"M": 1, "y": 12}
DURATION = re.compile(r"([1-9]\d*)(ms|s|m|h|d)")
DURATIONS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
MILLISECOND = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def millis(value: object) -> int:
    """Epoch milliseconds of a document's date; ValueError if it is none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    text = str(value)
    return int(text) if re.fullmatch(r"-?\d{5,}", text) else _to_millis(_iso(text))


def is_date(text: str) -> bool:
    """Whether a new field with this first value is mapped as a date (a year alone is not enough for that)."""
    try:
        return "-" in text and bool(_iso(text))
    except ValueError:
        return False


def math(value: object, now: datetime, *, round_up: bool) -> int:
    """Epoch milliseconds of a range's bound. `/d` rounds down, or up to the last millisecond of the day."""
    text = str(value)
    if text.startswith("now"):
        anchor, steps = now, text[3:]
    elif "||" in text:
        date, _, steps = text.partition("||")
        anchor = EPOCH + timedelta(milliseconds=millis(date))
    else:
        return millis(value)
    position = 0
    while position < len(steps):
        step = STEP.match(steps, position)
        if step is None:
            raise ValueError(f"operator not supported for date math [{steps[position:]}]")
        anchor = _round(anchor, step[4], up=round_up) if step[4] else _move(anchor, step)
        position = step.end()
    return _to_millis(anchor)


def duration(value: object) -> int:
    """Milliseconds of a time value such as `30s`; ValueError if it is none."""
    parsed = DURATION.fullmatch(str(value))
    if parsed is None:
        raise ValueError(
            f"failed to parse setting with value [{value}] as a time value: unit is missing or unrecognized"
        )
    return int(parsed[1]) * DURATIONS[parsed[2]]


def shown(ms: float) -> str:
    """As `key_as_string`: ISO 8601 with milliseconds in UTC."""
    moment = EPOCH + timedelta(milliseconds=ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _iso(text: str) -> datetime:
    if not ISO.fullmatch(text):
        raise ValueError(f"failed to parse date field [{text}] with format [strict_date_optional_time||epoch_millis]")
    full = text + "-01" * (text.count("-") == 0) + "-01" * (len(text) <= len("2026-01"))
    moment = datetime.fromisoformat(full)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _move(moment: datetime, step: re.Match[str]) -> datetime:
    amount = int(step[2] or 1) * (-1 if step[1] == "-" else 1)
    if step[3] in UNITS:
        return moment + amount * UNITS[step[3]]
    months = moment.year * 12 + moment.month - 1 + amount * MONTHS[step[3]]
    first = moment.replace(year=months // 12, month=months % 12 + 1, day=1)
    return first.replace(day=min(moment.day, _days_of_month(first)))


def _round(moment: datetime, unit: str, *, up: bool) -> datetime:
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    start = {
        "s": moment.replace(microsecond=0),
        "m": moment.replace(second=0, microsecond=0),
        "h": moment.replace(minute=0, second=0, microsecond=0),
        "H": moment.replace(minute=0, second=0, microsecond=0),
        "d": day,
        "w": day - timedelta(days=day.weekday()),
        "M": day.replace(day=1),
        "y": day.replace(month=1, day=1),
    }[unit]
    if not up:
        return start
    step = STEP.match(f"+1{unit}")
    assert step is not None  # every unit is one of the pattern's
    return _move(start, step) - MILLISECOND


def _days_of_month(first: datetime) -> int:
    following = (first + timedelta(days=31)).replace(day=1)
    return (following - first).days


def _to_millis(moment: datetime) -> int:
    return (moment - EPOCH) // MILLISECOND
