"""An index's mapping: the declared fields, those found in documents, and what of a document can be searched."""

from collections.abc import Iterator
from dataclasses import dataclass

from aegis_flows.lab.search.errors import SearchError, illegal, unparsable
from aegis_flows.lab.search.values import KINDS, JsonObject, Value, converted, declaration, tokens

Fields = dict[str, tuple[Value, ...]]
PARAMETERS = frozenset({"type", "properties", "fields", "format", "ignore_above"})
DATE_FORMATS = frozenset({"strict_date_optional_time||epoch_millis", "strict_date_optional_time", "epoch_millis"})


@dataclass(frozen=True, slots=True)
class Field:
    kind: str
    ignore_above: int | None
    """Characters; a longer keyword is kept in the document but cannot be searched."""
    sub_fields: tuple[str, ...]
    """Paths, such as `name.keyword`."""


@dataclass(frozen=True, slots=True)
class Mapping:
    source: JsonObject
    """As `GET /{index}/_mapping` shows it."""
    fields: dict[str, Field]
    """By path; objects and sub-fields among them."""

    def kind(self, path: str) -> str | None:
        field = self.fields.get(path)
        return field.kind if field else None

    def widened(self, document: JsonObject) -> "Mapping":
        """With the document's new fields, unless `dynamic` is false or strict."""
        before = self.source.get("properties", {})
        after = _widened(before, document, str(self.source.get("dynamic", "true")).lower())
        return self if after == before else mapping({**self.source, "properties": after})

    def values(self, document: JsonObject) -> Fields:
        found: dict[str, list[Value]] = {}
        for path, value in self._leaves(document, ""):
            field = self.fields.get(path)
            for name in (path, *field.sub_fields) if field else ():
                found.setdefault(name, []).extend(_indexed(name, self.fields[name], value))
        return {path: tuple(values) for path, values in found.items() if values}

    def _leaves(self, value: object, path: str) -> Iterator[tuple[str, object]]:
        kind = self.kind(path)
        if isinstance(value, dict):
            if kind not in {None, "object"}:
                raise unparsable(f"failed to parse field [{path}] of type [{kind}]")
            for key, inner in value.items():
                yield from self._leaves(inner, f"{path}.{key}" if path else key)
        elif isinstance(value, list):
            for inner in value:
                yield from self._leaves(inner, path)
        elif value is not None:
            if kind == "object":
                raise unparsable(f"object mapping for [{path}] tried to parse as object, but found a concrete value")
            yield path, value


def mapping(source: JsonObject) -> Mapping:
    """Checked: a type or parameter that this stand-in would ignore is refused as OpenSearch refuses unknown ones."""
    if unknown := source.keys() - {"properties", "dynamic"}:
        raise unparsable(f"Root mapping definition has unsupported parameters: {sorted(unknown)}")
    if str(source.get("dynamic", True)).lower() not in {"true", "false", "strict"}:
        raise unparsable(f"this stand-in knows no dynamic mapping [{source['dynamic']}]")
    return Mapping(source, dict(_declared(source.get("properties", {}), "")))


def merged(old: Mapping, new: JsonObject) -> Mapping:
    """With more fields; the type of a field that is there cannot change."""
    for path, field in mapping(new).fields.items():
        before = old.kind(path)
        if before not in {None, field.kind}:
            raise illegal(f"mapper [{path}] cannot be changed from type [{before}] to [{field.kind}]")
    return mapping(_merged(old.source, new))


def _merged(old: JsonObject, new: JsonObject) -> JsonObject:
    both = old.keys() & new.keys()
    inner = {
        key: _merged(old[key], new[key]) for key in both if isinstance(old[key], dict) and isinstance(new[key], dict)
    }
    return {**old, **new, **inner}


def _declared(properties: object, prefix: str) -> Iterator[tuple[str, Field]]:
    if not isinstance(properties, dict):
        raise unparsable(f"Expected map for property [properties] but got a {type(properties).__name__}")
    for key, declared in properties.items():
        path = prefix + key
        kind = declared.get("type", "object") if isinstance(declared, dict) else None
        if not isinstance(kind, str) or kind not in KINDS:
            raise unparsable(f"No handler for type [{kind}] declared on field [{key}]")
        if unknown := sorted(declared.keys() - PARAMETERS):
            raise unparsable(f"unknown parameter [{unknown[0]}] on mapper [{key}] of type [{kind}]")
        if str(declared.get("format", "epoch_millis")) not in DATE_FORMATS:
            raise unparsable(f"this stand-in knows no date format [{declared['format']}]")
        if not isinstance(declared.get("ignore_above", 0), int):
            raise unparsable(f"[ignore_above] of [{key}] is no whole number")
        sub_fields = declared.get("fields", {})
        yield path, Field(kind, declared.get("ignore_above"), tuple(f"{path}.{name}" for name in sub_fields))
        yield from _declared(sub_fields, f"{path}.")
        yield from _declared(declared.get("properties", {}), f"{path}.")


def _widened(properties: JsonObject, document: JsonObject, dynamic: str) -> JsonObject:
    wider = dict(properties)
    for key, value in document.items():
        samples = [one for one in (value if isinstance(value, list) else [value]) if one is not None]
        declared = wider.get(key)
        if not samples or (declared and "type" in declared and declared["type"] != "object"):
            continue
        if declared is None and dynamic != "true":
            if dynamic == "strict":
                reason = f"mapping set to strict, dynamic introduction of [{key}] within [_doc] is not allowed"
                raise SearchError(400, "strict_dynamic_mapping_exception", reason)
            continue
        if isinstance(samples[0], dict):
            inner = (declared or {}).get("properties", {})
            for one in samples:
                inner = _widened(inner, one, dynamic) if isinstance(one, dict) else inner
            wider[key] = {**(declared or {}), "properties": inner}
        elif declared is None:
            wider[key] = declaration(samples[0])
    return wider


def _indexed(path: str, field: Field, value: object) -> list[Value]:
    try:
        typed = converted(field.kind, value)
    except ValueError as error:
        raise unparsable(f"failed to parse field [{path}] of type [{field.kind}]: {error}") from None
    if field.kind == "text":
        return [*tokens(str(typed))]
    too_long = field.ignore_above is not None and len(str(typed)) > field.ignore_above
    return [] if too_long else [typed]
