"""What sorting and aggregations read of a field; OpenSearch refuses both on `text`."""

from aegis_flows.lab.search.errors import ShardError
from aegis_flows.lab.search.query import kind_of
from aegis_flows.lab.search.store import View


def kind(view: View, path: str) -> str | None:
    """The field's type, or nothing where this index has no such field."""
    found = kind_of(view, path)
    if found == "text":
        reason = (
            "Text fields are not optimised for operations that require per-document field data like aggregations and "
            "sorting, so these operations are disabled by default. Please use a keyword field instead. Alternatively, "
            f"set fielddata=true on [{path}] in order to load field data by uninverting the inverted index. "
            "Note that this can use significant memory."
        )
        raise ShardError(view.name, "illegal_argument_exception", reason)
    return found
