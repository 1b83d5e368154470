"""Indices and their documents, in memory. A document can be searched at once: there is no refresh to wait for."""

import secrets
import time
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from aegis_flows.lab.search.errors import SearchError, index_not_found
from aegis_flows.lab.search.mapping import Fields, Mapping, mapping
from aegis_flows.lab.search.values import JsonObject

FORBIDDEN = set('\\/*?"<>| ,#:')


@dataclass(frozen=True, slots=True)
class Document:
    index: str
    id: str
    source: JsonObject
    fields: Fields
    version: int
    seq_no: int


@dataclass(frozen=True, slots=True)
class View:
    """What an index holds at one moment."""

    name: str
    mapping: Mapping
    documents: tuple[Document, ...]


@dataclass(slots=True)
class Index:
    name: str
    mapping: Mapping = field(default_factory=lambda: mapping({}))
    settings: JsonObject = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)
    uuid: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    created: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    """Epoch milliseconds."""
    next_seq_no: int = 0

    def put(self, document_id: str, source: JsonObject, *, create: bool) -> Document:
        """`create` refuses an id that is there."""
        old = self.documents.get(document_id)
        if old and create:
            reason = f"[{document_id}]: version conflict, document already exists (current version [{old.version}])"
            raise SearchError(409, "version_conflict_engine_exception", reason, index=self.name, shard="0")
        wider = self.mapping.widened(source)
        fields = wider.values(source)  # before anything is kept, so that a refused document leaves nothing
        self.mapping = wider
        version = old.version + 1 if old else 1
        document = Document(self.name, document_id, source, fields, version, self._take_seq_no())
        self.documents.pop(document_id, None)
        self.documents[document_id] = document
        return document

    def remove(self, document_id: str) -> tuple[Document | None, int]:
        """The document, if it was there, and the sequence number of the deletion."""
        return self.documents.pop(document_id, None), self._take_seq_no()

    def view(self) -> View:
        return View(self.name, self.mapping, tuple(self.documents.values()))

    def _take_seq_no(self) -> int:
        self.next_seq_no += 1
        return self.next_seq_no - 1


@dataclass(slots=True)
class Cluster:
    indices: dict[str, Index] = field(default_factory=dict)
    uuid: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    def create(self, name: str, mappings: JsonObject, settings: JsonObject) -> Index:
        check_name(name)
        if name in self.indices:
            old = self.indices[name]
            reason = f"index [{name}/{old.uuid}] already exists"
            raise SearchError(400, "resource_already_exists_exception", reason, index=name, index_uuid=old.uuid)
        self.indices[name] = Index(name, mapping(mappings), settings)
        return self.indices[name]

    def for_writing(self, name: str) -> Index:
        """Made by its first document."""
        return self.indices.get(name) or self.create(name, {}, {})

    def get(self, name: str) -> Index:
        if name not in self.indices:
            raise index_not_found(name)
        return self.indices[name]

    def resolve(self, expression: str, *, ignore_unavailable: bool = False) -> list[Index]:
        """Names and wildcards, separated by commas. A wildcard may match nothing; a name may not."""
        found: dict[str, Index] = {}
        for part in expression.split(","):
            wildcard = "*" if part == "_all" else part
            matches = {name: index for name, index in self.indices.items() if fnmatchcase(name, wildcard)}
            if not matches and "*" not in wildcard and not ignore_unavailable:
                raise index_not_found(part)
            found |= matches
        return list(found.values())


def check_name(name: str) -> None:
    reason = ""
    if name != name.lower():
        reason = "must be lowercase"
    elif name.startswith(("_", "-", "+")):
        reason = "must not start with '_', '-', or '+'"
    elif FORBIDDEN & set(name):
        reason = 'must not contain the following characters [ , ", *, \\, <, |, ,, >, /, ?]'
    if reason:
        raise SearchError(400, "invalid_index_name_exception", f"Invalid index name [{name}], {reason}", index=name)
