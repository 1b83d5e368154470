"""Aggregations: counts and buckets over the documents that a query finds."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

from aegis_flows.lab.search import dates, doc_values, query
from aegis_flows.lab.search.errors import SearchError, illegal, parsing
from aegis_flows.lab.search.store import Document, View
from aegis_flows.lab.search.values import JsonObject, Value

Documents = Sequence[Document]
Aggregation = Callable[[Documents, list[View]], JsonObject]
MAX_BUCKETS = 65_535
ORDERS = [("_count", "asc"), ("_count", "desc"), ("_key", "asc"), ("_key", "desc")]


def parse(aggs: object, now: datetime) -> Aggregation:
    """All of a request's aggregations; the answer has each under its name."""
    if not isinstance(aggs, dict):
        raise parsing("Expected [START_OBJECT] in [aggregations]")
    named = {name: _one(name, body, now) for name, body in aggs.items()}
    return lambda documents, views: {name: aggregation(documents, views) for name, aggregation in named.items()}


def _one(name: str, body: object, now: datetime) -> Aggregation:
    if not isinstance(body, dict):
        raise parsing(f"Aggregation definition for [{name}] is no object")
    inner = parse(body.get("aggs", body.get("aggregations", {})), now)
    kinds = [key for key in body if key not in {"aggs", "aggregations"}]
    if len(kinds) != 1:
        raise parsing(f"Expected one aggregation type definition in [{name}], found {kinds}")
    if kinds[0] == "filter":
        return _filter(query.parse(body["filter"], now), inner)
    if kinds[0] not in OPTIONS:
        raise parsing(f"Unknown aggregation type [{kinds[0]}]")
    options = body[kinds[0]]
    if not isinstance(options, dict) or (unknown := sorted(options.keys() - OPTIONS[kinds[0]])):
        raise parsing(f"[{kinds[0]}] unknown field [{unknown[0] if isinstance(options, dict) else options}]")
    if not isinstance(options.get("field"), str):
        raise illegal(f"Required one of fields [field, script], but none were specified. [{name}]")
    if kinds[0] in METRICS:
        return _metric(options["field"], METRICS[kinds[0]])
    return (_terms if kinds[0] == "terms" else _date_histogram)(options, inner)


def _filter(wanted: query.Query, inner: Aggregation) -> Aggregation:
    def aggregation(documents: Documents, views: list[View]) -> JsonObject:
        fits = {view.name: wanted(view) for view in views}
        found = [document for document in documents if fits[document.index](document)]
        return {"doc_count": len(found), **inner(found, views)}

    return aggregation


def _metric(path: str, measure: Callable[[list[Value]], int]) -> Aggregation:
    def aggregation(documents: Documents, views: list[View]) -> JsonObject:
        _kind(views, path)
        return {"value": measure([value for document in documents for value in document.fields.get(path, ())])}

    return aggregation


def _terms(options: JsonObject, inner: Aggregation) -> Aggregation:
    path, size, least = options["field"], _count(options, "size", 10), _count(options, "min_doc_count", 1)
    by, direction = _order(options.get("order", {"_count": "desc"}))

    def aggregation(documents: Documents, views: list[View]) -> JsonObject:
        kind = _kind(views, path)
        counts = Counter(value for document in documents for value in set(document.fields.get(path, ())))
        keys = sorted(key for key, count in counts.items() if count >= least)
        keys.sort(key=lambda key: counts[key] if by == "_count" else 0, reverse=by == "_count" and direction == "desc")
        keys = keys[::-1] if (by, direction) == ("_key", "desc") else keys
        buckets = [
            {**_shown_key(kind, key), "doc_count": counts[key], **inner(_having(documents, path, key), views)}
            for key in keys[:size]
        ]
        left_out = sum(counts[key] for key in keys[size:])
        return {"doc_count_error_upper_bound": 0, "sum_other_doc_count": left_out, "buckets": buckets}

    return aggregation


def _date_histogram(options: JsonObject, inner: Aggregation) -> Aggregation:
    """Buckets between the first and the last are there even when empty, unless `min_doc_count` is more than 0."""
    path, least = options["field"], _count(options, "min_doc_count", 0)
    try:
        width = dates.duration(options.get("fixed_interval"))
    except ValueError as error:
        raise illegal(f"[fixed_interval] {error}") from None

    def aggregation(documents: Documents, views: list[View]) -> JsonObject:
        if _kind(views, path) not in {None, "date"}:
            raise illegal(f"Field [{path}] is not supported for aggregation [date_histogram]")
        starts: dict[int, list[Document]] = {}
        for document in documents:
            for start in {int(value) // width * width for value in document.fields.get(path, ())}:
                starts.setdefault(start, []).append(document)
        every = range(min(starts), max(starts) + 1, width) if starts and least == 0 else sorted(starts)
        if len(every) > MAX_BUCKETS:
            reason = f"Trying to create too many buckets. Must be less than or equal to: [{MAX_BUCKETS}]"
            raise SearchError(503, "too_many_buckets_exception", reason, max_buckets=MAX_BUCKETS)
        found = [(start, starts.get(start, [])) for start in every]
        buckets = [
            {**_shown_key("date", start), "doc_count": len(inside), **inner(inside, views)}
            for start, inside in found
            if len(inside) >= least
        ]
        return {"buckets": buckets}

    return aggregation


def _having(documents: Documents, path: str, key: Value) -> Documents:
    return [document for document in documents if key in document.fields.get(path, ())]


def _kind(views: list[View], path: str) -> str | None:
    kinds = [doc_values.kind(view, path) for view in views]
    return next((kind for kind in kinds if kind), None)


def _shown_key(kind: str | None, key: Value) -> JsonObject:
    if kind == "date":
        return {"key": key, "key_as_string": dates.shown(float(key))}
    if kind == "boolean":
        return {"key": int(key), "key_as_string": str(key).lower()}
    return {"key": key}


def _count(options: JsonObject, name: str, otherwise: int) -> int:
    given = options.get(name, otherwise)
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise illegal(f"[{name}] must be a whole number that is not negative, not [{given}]")
    return given


def _order(given: object) -> tuple[str, str]:
    pairs = list(given.items()) if isinstance(given, dict) else []
    if len(pairs) != 1 or pairs[0] not in ORDERS:
        raise illegal(f"this stand-in orders terms by _count or _key, asc or desc, not by [{given}]")
    return pairs[0]


METRICS: dict[str, Callable[[list[Value]], int]] = {
    "value_count": len,
    "cardinality": lambda values: len(set(values)),
}
OPTIONS = {
    "terms": {"field", "size", "order", "min_doc_count"},
    "date_histogram": {"field", "fixed_interval", "min_doc_count"},
    "value_count": {"field"},
    "cardinality": {"field"},
}
