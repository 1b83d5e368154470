"""Field types: declared in a mapping or found in the first document that has the field, and the values they make."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from aegis_flows.lab.search import dates
from aegis_flows.lab.search.errors import SearchError, unparsable

JsonObject = dict[str, Any]
Value = str | int | float | bool
Fields = dict[str, tuple[Value, ...]]

PARAMETERS = frozenset({"type", "properties", "fields", "format", "ignore_above"})
DATE_FORMATS = frozenset({"strict_date_optional_time||epoch_millis", "strict_date_optional_time", "epoch_millis"})
KEYWORD_LIMIT = 256
"""Characters; what a dynamic `keyword` sub-field leaves out (`ignore_above`)."""


@dataclass(frozen=True, slots=True)
class Field:
    kind: str
    ignore_above: int | None = None


@dataclass(frozen=True, slots=True)
class Mapping:
    source: JsonObject
    """As `GET /index/_mapping` shows it."""
    fields: dict[str, Field]
    """By path, sub-fields (`name.keyword`) among them."""

    @property
    def dynamic(self) -> str:
        """Whether a new field is mapped (true), left unsearchable (false) or refused (strict)."""
        return str(self.source.get("dynamic", "true")).lower()

    def kind(self, path: str) -> str | None:
        field = self.fields.get(path)
        return field.kind if field else None

    def widened(self, document: JsonObject) -> "Mapping":
        """With the document's new fields."""
        properties = _widened(self.source.get("properties", {}), document, self.dynamic, "")
        return self if properties == self.source.get("properties", {}) else mapping({**self.source, "properties": properties})

    def values(self, document: JsonObject) -> Fields:
        """What of the document can be searched, by path; a value that does not fit its field is refused."""
        found: dict[str, list[Value]] = {}
        for path, value in _leaves(document, ""):
            for name, field in self._with_sub_fields(path):
                found.setdefault(name, []).extend(_indexed(name, field, value))
        return {path: tuple(values) for path, values in found.items() if values}

    def _with_sub_fields(self, path: str) -> Iterator[tuple[str, Field]]:
        for name in (path, f"{path}.keyword"):
            if field := self.fields.get(name):
                yield name, field


def mapping(source: JsonObject) -> Mapping:
    """Checked: a type or parameter that this stand-in would ignore is refused as OpenSearch refuses unknown ones."""
    if unknown := source.keys() - {"properties", "dynamic"}:
        raise unparsable(f"Root mapping definition has unsupported parameters:  {sorted(unknown)}")
    return Mapping(source, dict(_declared(source.get("properties", {}), "")))


def merged(old: JsonObject, new: JsonObject) -> JsonObject:
    """A mapping with more fields; a field's type cannot change."""
    before, after = mapping(old).fields, mapping(new).fields
    for path in before.keys() & after.keys():
        if before[path].kind != after[path].kind:
            raise SearchError(
                400,
                "illegal_argument_exception",
                f"mapper [{path}] cannot be changed from type [{before[path].kind}] to [{after[path].kind}]",
            )
    return {**old, **new, "properties": _merged_properties(old.get("properties", {}), new.get("properties", {}))}


def converted(kind: str, value: object) -> Value:
    """A value as the field's type holds it; ValueError or TypeError if it does not fit."""
    return CONVERTERS[kind](value)


def tokens(text: str) -> list[str]:
    """The words that the standard analyser finds in a `text` field."""
    return re.findall(r"\w+", text.lower())


def _whole(value: object) -> int:
    return int(float(str(value))) if isinstance(value, str) else int(value)  # type: ignore[call-overload, no-any-return]  # TypeError is the answer


def _boolean(value: object) -> bool:
    truths: dict[object, bool] = {True: True, False: False, "true": True, "false": False, "": False}
    if isinstance(value, bool | str) and value in truths:
        return truths[value]
    raise ValueError(f"Failed to parse value [{value}] as only [true] or [false] are allowed.")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
