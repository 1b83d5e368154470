"""Field types: what each holds, and which one a new field gets from its first value."""

import re
from typing import Any

from aegis_flows.lab.search import dates

JsonObject = dict[str, Any]
Value = str | int | float | bool

WHOLE = frozenset({"long", "integer", "short", "byte"})
DECIMAL = frozenset({"double", "float", "half_float"})
KINDS = WHOLE | DECIMAL | {"keyword", "text", "date", "boolean", "object"}


def converted(kind: str, value: object) -> Value:
    """The value as a field of this type holds it; ValueError if it does not fit."""
    if isinstance(value, dict | list) or value is None:
        raise ValueError(f"Can't get text on a {type(value).__name__}")
    if kind == "date":
        return dates.millis(value)
    if kind == "boolean":
        return _boolean(value)
    if kind in WHOLE | DECIMAL:
        return _number(kind, value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def tokens(text: str) -> list[str]:
    """The words that the standard analyser finds in a `text` field."""
    return re.findall(r"\w+", text.lower())


def declaration(sample: object) -> JsonObject:
    """The dynamic mapping of a new field. Text has a `keyword` sub-field for values of up to 256 characters."""
    if isinstance(sample, bool):
        return {"type": "boolean"}
    if isinstance(sample, int):
        return {"type": "long"}
    if isinstance(sample, float):
        return {"type": "float"}
    if dates.is_date(str(sample)):
        return {"type": "date"}
    return {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value not in {"true", "false", ""}:
        raise ValueError(f"Failed to parse value [{value}] as only [true] or [false] are allowed.")
    return value == "true"


def _number(kind: str, value: object) -> float:
    if isinstance(value, bool):
        raise ValueError(f"Current token (VALUE_{str(value).upper()}) not numeric")  # noqa: TRY004 (as for any other misfit)
    try:
        return float(str(value)) if kind in DECIMAL else int(str(value), 10)
    except ValueError:
        if kind in WHOLE and re.fullmatch(r"-?\d+\.\d+", str(value)):
            return int(float(str(value)))  # OpenSearch cuts the fraction off
        raise ValueError(f'For input string: "{value}"') from None
