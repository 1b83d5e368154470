"""A search: its body read and checked, and the answer made from what the indices hold at that moment."""

from dataclasses import dataclass
from datetime import datetime

from aegis_flows.lab.search import aggregations, query, sorting, source_filter
from aegis_flows.lab.search.errors import illegal, parsing
from aegis_flows.lab.search.source_filter import SourceFilter
from aegis_flows.lab.search.store import Document, View
from aegis_flows.lab.search.values import JsonObject

KEYS = frozenset(
    {"query", "sort", "size", "from", "search_after", "pit", "_source", "aggs", "aggregations", "track_total_hits"}
)
MAX_WINDOW = 10_000
SHARDS = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}


@dataclass(frozen=True, slots=True)
class Search:
    query: query.Query
    keys: sorting.Keys
    size: int
    start: int
    after: object
    """`search_after` as it was given, or nothing."""
    source: SourceFilter
    aggregation: aggregations.Aggregation | None
    count_up_to: int | None
    """Hits are counted up to this many; none at all for 0, every one for nothing."""

    def answer(self, views: list[View]) -> JsonObject:
        found = matching(self.query, views)
        for view in views:
            sorting.check(self.keys, view)
        hits = self._page(found, views)
        answer: JsonObject = {"timed_out": False, "_shards": SHARDS, "hits": self._hits(len(found), hits)}
        if self.aggregation:
            answer["aggregations"] = self.aggregation(found, views)
        return answer

    def _page(self, found: list[Document], views: list[View]) -> list[JsonObject]:
        ranked = sorting.ordered(self.keys, found)
        if self.after is not None:
            place = sorting.after(self.keys, self.after, views)
            ranked = [(values, one) for values, one in ranked if sorting.compare(self.keys, values, place) > 0]
        return [self._hit(one, values) for values, one in ranked[self.start : self.start + self.size]]

    def _hit(self, document: Document, values: sorting.SortValues) -> JsonObject:
        """Nothing here is scored: every hit has 1.0, or no score when it is sorted."""
        hit: JsonObject = {"_index": document.index, "_id": document.id, "_score": None if self.keys else 1.0}
        if self.source.wanted:
            hit["_source"] = self.source.of(document.source)
        if self.keys:
            hit["sort"] = values
        return hit

    def _hits(self, total: int, hits: list[JsonObject]) -> JsonObject:
        shown: JsonObject = {"max_score": 1.0 if hits and not self.keys else None, "hits": hits}
        if self.count_up_to == 0:
            return shown
        over = self.count_up_to is not None and total > self.count_up_to
        return {"total": {"value": self.count_up_to if over else total, "relation": "gte" if over else "eq"}, **shown}


def parse(body: JsonObject, now: datetime) -> Search:
    """A key that this stand-in would ignore is refused."""
    if unknown := sorted(body.keys() - KEYS):
        raise parsing(f"Unknown key for a value in [{unknown[0]}].")
    size, start = _number(body, "size", 10), _number(body, "from", 0)
    if size + start > MAX_WINDOW:
        reason = "Result window is too large, from + size must be less than or equal to: "
        raise illegal(f"{reason}[{MAX_WINDOW}] but was [{size + start}]")
    keys = sorting.parse(body["sort"]) if body.get("sort") else ()
    if "search_after" in body and (start or not keys):
        what = "`from` parameter must be set to 0" if start else "Sort must contain at least one field"
        raise illegal(f"{what} when `search_after` is used.")
    aggs = body.get("aggs", body.get("aggregations"))
    return Search(
        query=query.parse(body.get("query", {"match_all": {}}), now),
        keys=keys,
        size=size,
        start=start,
        after=body.get("search_after"),
        source=source_filter.parse(body.get("_source", True)),
        aggregation=aggregations.parse(aggs, now) if aggs is not None else None,
        count_up_to=_count_up_to(body.get("track_total_hits", MAX_WINDOW)),
    )


def matching(wanted: query.Query, views: list[View]) -> list[Document]:
    return [document for view in views for document in filter(wanted(view), view.documents)]


def _count_up_to(given: object) -> int | None:
    if given is True:
        return None
    if given is False or given == -1:
        return 0
    if isinstance(given, int) and given > 0:
        return given
    raise illegal(f"[track_total_hits] parameter must be positive or equals to -1, got {given}")


def _number(body: JsonObject, name: str, otherwise: int) -> int:
    given = body.get(name, otherwise)
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise illegal(f"[{name}] parameter cannot be negative or no number, found [{given}]")
    return given
