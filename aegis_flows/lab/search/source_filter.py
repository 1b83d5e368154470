"""`_source`: which parts of a document come back."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from aegis_flows.lab.search.errors import parsing
from aegis_flows.lab.search.values import JsonObject


@dataclass(frozen=True, slots=True)
class SourceFilter:
    """Patterns are paths with wildcards; one that names an object means all that is in it."""

    wanted: bool = True
    includes: tuple[str, ...] = ()
    """None means all."""
    excludes: tuple[str, ...] = ()

    def of(self, source: JsonObject) -> JsonObject:
        return self._kept(source, "", inside=not self.includes) if self.includes or self.excludes else source

    def _kept(self, source: JsonObject, prefix: str, *, inside: bool) -> JsonObject:
        kept: JsonObject = {}
        for key, value in source.items():
            path = prefix + key
            if _matches(path, self.excludes):
                continue
            here = inside or _matches(path, self.includes)
            part = self._part(value, path, inside=here)
            if here or part not in ({}, [], None):
                kept[key] = part
        return kept

    def _part(self, value: object, path: str, *, inside: bool) -> object:
        if isinstance(value, dict):
            return self._kept(value, f"{path}.", inside=inside)
        if isinstance(value, list):
            return [part for one in value if (part := self._part(one, path, inside=inside)) is not None]
        return value if inside else None


def parse(given: object) -> SourceFilter:
    """From a boolean, a pattern, a list of patterns, or an object with includes and excludes."""
    if isinstance(given, bool):
        return SourceFilter(wanted=given)
    if isinstance(given, str | list):
        return SourceFilter(includes=_patterns(given))
    if not isinstance(given, dict) or (unknown := given.keys() - {"includes", "excludes"}):
        raise parsing(f"Unknown key for a VALUE_STRING in [{min(unknown) if isinstance(given, dict) else given}].")
    return SourceFilter(includes=_patterns(given.get("includes", [])), excludes=_patterns(given.get("excludes", [])))


def _patterns(given: object) -> tuple[str, ...]:
    patterns = given if isinstance(given, list) else [given]
    if not all(isinstance(one, str) for one in patterns):
        raise parsing("Unknown key for a value in [_source].")
    return tuple(patterns)


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)
