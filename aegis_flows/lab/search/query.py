"""Queries. Each is checked when it is read, so that a wrong one is refused even where no document is."""

from collections.abc import Callable
from datetime import datetime

from aegis_flows.lab.search import dates
from aegis_flows.lab.search.errors import ShardError, illegal, parsing
from aegis_flows.lab.search.store import Document, View
from aegis_flows.lab.search.values import JsonObject, Value, converted

Predicate = Callable[[Document], bool]
Query = Callable[[View], Predicate]

COMPARISONS: dict[str, Callable[[Value, Value], bool]] = {
    "gt": lambda value, bound: value > bound,  # type: ignore[operator]  # a field's values and bounds have one type
    "gte": lambda value, bound: value >= bound,  # type: ignore[operator]
    "lt": lambda value, bound: value < bound,  # type: ignore[operator]
    "lte": lambda value, bound: value <= bound,  # type: ignore[operator]
}


def parse(query: object, now: datetime) -> Query:
    """`now` is the moment that date math starts from."""
    if not isinstance(query, dict) or not query:
        raise illegal("query malformed, empty clause found")
    (name, body), *others = query.items()
    if others:
        raise parsing(f"[{name}] malformed query, expected [END_OBJECT] but found [FIELD_NAME]")
    if name not in KINDS:
        raise parsing(f"unknown query [{name}]")
    if not isinstance(body, dict):
        raise parsing(f"[{name}] query malformed, no start_object after query name")
    return KINDS[name](body, now)


def kind_of(view: View, path: str) -> str | None:
    if path.startswith("_"):
        raise illegal(f"this stand-in cannot search the metadata field [{path}]")
    return view.mapping.kind(path)


def _match_all(body: JsonObject, _: datetime) -> Query:
    _only(body, "match_all", set())
    return lambda _: lambda _: True


def _term(body: JsonObject, now: datetime) -> Query:
    path, value = _one_field(body, "term")
    if isinstance(value, dict):
        _only(value, "term", {"value"})
        value = value.get("value")
    if value is None or isinstance(value, list):
        raise illegal("value cannot be null" if value is None else "[term] query does not support array of values")
    return _any_of(path, [value], now)


def _terms(body: JsonObject, now: datetime) -> Query:
    path, values = _one_field(body, "terms")
    if not isinstance(values, list):
        raise parsing("[terms] query does not support " + type(values).__name__)
    return _any_of(path, values, now)


def _any_of(path: str, values: list[object], now: datetime) -> Query:
    def query(view: View) -> Predicate:
        wanted = {_bound(view, path, value, now, round_up=False) for value in values} if kind_of(view, path) else set()
        return lambda document: not wanted.isdisjoint(document.fields.get(path, ()))

    return query


def _range(body: JsonObject, now: datetime) -> Query:
    """`gt` and `lte` round date math up, `gte` and `lt` down, as OpenSearch does."""
    path, given = _one_field(body, "range")
    if not isinstance(given, dict):
        raise parsing("[range] query malformed, no start_object after field name")
    _only(given, "range", set(COMPARISONS))

    def query(view: View) -> Predicate:
        if kind_of(view, path) is None:
            return lambda _: False
        bounds = [
            (COMPARISONS[name], _bound(view, path, value, now, round_up=name in {"gt", "lte"}))
            for name, value in given.items()
            if value is not None
        ]
        return lambda document: any(
            all(fits(value, bound) for fits, bound in bounds) for value in document.fields.get(path, ())
        )

    return query


def _bool(body: JsonObject, now: datetime) -> Query:
    _only(body, "bool", {"filter", "must", "must_not", "should", "minimum_should_match"})
    clauses = {name: _clauses(body.get(name, []), now) for name in ("filter", "must", "must_not", "should")}
    needed = [*clauses["filter"], *clauses["must"]]
    least = body.get("minimum_should_match", 1 if clauses["should"] and not needed else 0)
    if isinstance(least, bool) or not isinstance(least, int) or least < 0:
        raise illegal(f"this stand-in takes minimum_should_match as a whole number, not [{least}]")

    def query(view: View) -> Predicate:
        every = [clause(view) for clause in needed]
        none = [clause(view) for clause in clauses["must_not"]]
        some = [clause(view) for clause in clauses["should"]]
        return lambda document: (
            all(fits(document) for fits in every)
            and not any(fits(document) for fits in none)
            and sum(fits(document) for fits in some) >= least
        )

    return query


def _clauses(given: object, now: datetime) -> list[Query]:
    return [parse(clause, now) for clause in (given if isinstance(given, list) else [given])]


def _exists(body: JsonObject, _: datetime) -> Query:
    _only(body, "exists", {"field"})
    path = body.get("field")
    if not isinstance(path, str):
        raise parsing("[exists] must be provided with a [field]")
    return lambda _: lambda document: any(one == path or one.startswith(f"{path}.") for one in document.fields)


def _ids(body: JsonObject, _: datetime) -> Query:
    _only(body, "ids", {"values"})
    values = body.get("values")
    if not isinstance(values, list):
        raise parsing("[ids] requires providing [values]")
    wanted = {str(value) for value in values}
    return lambda _: lambda document: document.id in wanted


def _bound(view: View, path: str, value: object, now: datetime, *, round_up: bool) -> Value:
    kind = str(kind_of(view, path))
    try:
        return dates.math(value, now, round_up=round_up) if kind == "date" else converted(kind, value)
    except (ValueError, OverflowError) as error:
        raise ShardError(view.name, "query_shard_exception", f"failed to create query: {error}") from None


def _one_field(body: JsonObject, query: str) -> tuple[str, object]:
    if len(body) != 1:
        found = " and ".join(f"[{name}]" for name in list(body)[:2]) or "none"
        raise parsing(f"[{query}] query doesn't support multiple fields, found {found}")
    return next(iter(body.items()))


def _only(body: JsonObject, query: str, known: set[str]) -> None:
    if unknown := sorted(body.keys() - known):
        raise parsing(f"[{query}] query does not support [{unknown[0]}]")


KINDS: dict[str, Callable[[JsonObject, datetime], Query]] = {
    "match_all": _match_all,
    "term": _term,
    "terms": _terms,
    "range": _range,
    "bool": _bool,
    "exists": _exists,
    "ids": _ids,
}
