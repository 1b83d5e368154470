"""What the stand-in refuses, in OpenSearch's own words and shapes."""

from starlette.responses import JSONResponse, Response


class SearchError(Exception):
    """`kind` is the exception's name in snake case; `details` stand beside type and reason in `root_cause`."""

    def __init__(self, status: int, kind: str, reason: str, **details: object) -> None:
        super().__init__(reason)
        self.status = status
        self.cause: dict[str, object] = {"type": kind, "reason": reason, **details}

    def error(self) -> dict[str, object]:
        return {"root_cause": [self.cause], **self.cause}

    def response(self) -> Response:
        return JSONResponse({"error": self.error(), "status": self.status}, status_code=self.status)


class ShardError(SearchError):
    """A request that parses, but not against this index's mapping: OpenSearch says so once for each shard."""

    def __init__(self, index: str, kind: str, reason: str) -> None:
        super().__init__(400, kind, reason, index=index)

    def error(self) -> dict[str, object]:
        failed = {"shard": 0, "index": self.cause["index"], "node": "lab", "reason": self.cause}
        return {
            "root_cause": [self.cause],
            "type": "search_phase_execution_exception",
            "reason": "all shards failed",
            "phase": "query",
            "grouped": True,
            "failed_shards": [failed],
        }


def index_not_found(name: str) -> SearchError:
    resource = {"index": name, "resource.id": name, "resource.type": "index_or_alias", "index_uuid": "_na_"}
    return SearchError(404, "index_not_found_exception", f"no such index [{name}]", **resource)


def parsing(reason: str) -> SearchError:
    return SearchError(400, "parsing_exception", reason, line=1, col=1)


def illegal(reason: str) -> SearchError:
    return SearchError(400, "illegal_argument_exception", reason)


def invalid_request(fault: str) -> SearchError:
    return SearchError(400, "action_request_validation_exception", f"Validation Failed: 1: {fault};")


def unparsable(reason: str) -> SearchError:
    """A document that does not fit the mapping."""
    return SearchError(400, "mapper_parsing_exception", reason)
