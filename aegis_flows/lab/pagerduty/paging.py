"""Classic pagination (developer.pagerduty.com/docs/pagination): limit, offset, more; total only where asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from starlette.datastructures import QueryParams

from aegis_flows.lab.pagerduty.account import JsonObject
from aegis_flows.lab.pagerduty.faults import invalid

Item = TypeVar("Item")
DEFAULT_LIMIT, MAX_LIMIT = 25, 100


@dataclass(frozen=True, slots=True)
class Page:
    limit: int
    offset: int
    total: bool

    def of(self, name: str, items: Sequence[Item], show: Callable[[Item], JsonObject]) -> JsonObject:
        end = self.offset + self.limit
        return {
            name: [show(item) for item in items[self.offset : end]],
            "limit": self.limit,
            "offset": self.offset,
            "more": len(items) > end,
            "total": len(items) if self.total else None,
        }


def page(params: QueryParams) -> Page:
    limit, offset = _number(params, "limit", DEFAULT_LIMIT), _number(params, "offset", 0)
    if not 1 <= limit <= MAX_LIMIT:
        raise invalid(f"Limit must be between 1 and {MAX_LIMIT}.")
    return Page(limit, offset, params.get("total") == "true")


def only(params: QueryParams, answered: frozenset[str]) -> None:
    """A parameter that would be ignored here is refused: its caller would take the answer for a filtered one."""
    if unknown := sorted(params.keys() - answered - {"limit", "offset", "total"}):
        raise invalid(*(f"{name} is not supported by this stub." for name in unknown))


def _number(params: QueryParams, name: str, otherwise: int) -> int:
    text = params.get(name, str(otherwise))
    if not text.isdecimal():
        raise invalid(f"{name.capitalize()} must be a non-negative integer.")
    return int(text)
