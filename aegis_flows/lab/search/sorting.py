"""Order of hits, and the place from which `search_after` goes on."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cmp_to_key

from aegis_flows.lab.search import dates, doc_values
from aegis_flows.lab.search.errors import ShardError, illegal, parsing
from aegis_flows.lab.search.store import Document, View
from aegis_flows.lab.search.values import Value, converted

SortValues = list[Value | None]
DIRECTIONS = {"asc": False, "desc": True}


@dataclass(frozen=True, slots=True)
class Key:
    field: str
    descending: bool = False
    missing_first: bool = False
    may_be_unmapped: bool = False
    """`unmapped_type` was given: an index without the field counts as one where it is missing."""

    def value(self, document: Document) -> Value | None:
        """Of several values the least, or descending the greatest; `_doc` is the order of writing."""
        if self.field == "_doc":
            return document.seq_no
        values = document.fields.get(self.field)
        return (max(values) if self.descending else min(values)) if values else None

    def compare(self, one: Value | None, other: Value | None) -> int:
        if one == other:
            return 0
        if one is None or other is None:
            return -1 if (one is None) == self.missing_first else 1
        return -1 if (one < other) != self.descending else 1  # type: ignore[operator]  # a field's values have one type


Keys = tuple[Key, ...]


def parse(sort: object) -> Keys:
    """From `"field"`, `{"field": "desc"}` or `{"field": {"order": "desc"}}`, alone or in a list."""
    return tuple(_key(one) for one in (sort if isinstance(sort, list) else [sort]))


def check(keys: Keys, view: View) -> None:
    for key in keys:
        if key.field == "_doc" or doc_values.kind(view, key.field) is not None or key.may_be_unmapped:
            continue
        raise ShardError(view.name, "query_shard_exception", f"No mapping found for [{key.field}] in order to sort on")


def ordered(keys: Keys, documents: Iterable[Document]) -> list[tuple[SortValues, Document]]:
    """Ties stay in the order of writing."""

    def compared(one: tuple[SortValues, Document], other: tuple[SortValues, Document]) -> int:
        return compare(keys, one[0], other[0])

    return sorted((([key.value(one) for key in keys], one) for one in documents), key=cmp_to_key(compared))


def compare(keys: Keys, one: SortValues, other: SortValues) -> int:
    for key, a, b in zip(keys, one, other, strict=True):
        if (difference := key.compare(a, b)) != 0:
            return difference
    return 0


def after(keys: Keys, given: object, views: list[View]) -> SortValues:
    """`search_after` with each value as its field's type holds it."""
    if not isinstance(given, list):
        raise parsing("Expected [START_ARRAY] in [search_after]")
    if len(given) != len(keys):
        raise illegal(f"search_after has {len(given)} value(s) but sort has {len(keys)}.")
    return [_after_value(key, value, views) for key, value in zip(keys, given, strict=True)]


def _after_value(key: Key, value: object, views: list[View]) -> Value | None:
    kinds = [kind for view in views if (kind := view.mapping.kind(key.field))]
    if value is None:
        return None
    kind = "long" if key.field == "_doc" else next(iter(kinds), "keyword")
    try:
        return dates.millis(value) if kind == "date" else converted(kind, value)
    except ValueError as error:
        raise illegal(f"Failed to parse search_after value for field [{key.field}]: {error}") from None


def _key(one: object) -> Key:
    if isinstance(one, str):
        return _checked(Key(one))
    if not isinstance(one, dict) or len(one) != 1:
        raise illegal("malformed sort format, either start with array, object, or an actual string")
    field, options = next(iter(one.items()))
    if isinstance(options, str):
        options = {"order": options}
    if not isinstance(options, dict) or (unknown := sorted(options.keys() - {"order", "missing", "unmapped_type"})):
        raise parsing(f"[field_sort] unknown field [{unknown[0] if isinstance(options, dict) else options}]")
    order, missing = options.get("order", "asc"), options.get("missing", "_last")
    if str(order) not in DIRECTIONS:
        raise illegal(f"Unknown SortOrder [{order}]")
    if missing not in ("_first", "_last"):
        raise illegal(f"this stand-in sorts missing values _first or _last, not as [{missing}]")
    return _checked(Key(field, DIRECTIONS[order], missing == "_first", "unmapped_type" in options))


def _checked(key: Key) -> Key:
    if key.field.startswith("_") and key.field != "_doc":
        raise illegal(f"this stand-in cannot sort on the metadata field [{key.field}]")
    return key
