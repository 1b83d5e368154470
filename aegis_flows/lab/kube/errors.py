"""The API's own errors, worded as kube-apiserver words them (k8s.io/apimachinery/pkg/api/errors)."""

from collections.abc import Sequence
from dataclasses import dataclass

from aegis_flows.lab.kube.objects import Object
from aegis_flows.lab.kube.resources import Resource


@dataclass(frozen=True)
class Cause:
    """One field at fault, as it stands in `details.causes`."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"


class StatusError(Exception):
    """An answer of kind Status: its HTTP code, machine-readable reason, sentence and details."""

    def __init__(self, code: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.body: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "details": details or {},
            "code": code,
        }


def _details(resource: Resource, name: str) -> Object:
    return {"name": name, "group": resource.group, "kind": resource.plural}


def not_found(resource: Resource, name: str) -> StatusError:
    return StatusError(404, "NotFound", f'{resource.qualified} "{name}" not found', _details(resource, name))


def no_such_resource() -> StatusError:
    return StatusError(404, "NotFound", "the server could not find the requested resource")


def already_exists(resource: Resource, name: str) -> StatusError:
    message = f'{resource.qualified} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, _details(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> StatusError:
    """A stale resourceVersion unless another reason is given."""
    stale = "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why or stale}'
    return StatusError(409, "Conflict", message, _details(resource, name))


def invalid(resource: Resource, name: str, causes: Sequence[Cause]) -> StatusError:
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    sentences = [f"{cause.field}: {cause.message}" for cause in causes]
    text = sentences[0] if len(sentences) == 1 else f"[{', '.join(sentences)}]"
    listed = [{"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes]
    details = {"name": name, "group": resource.group, "kind": resource.kind, "causes": listed}
    return StatusError(422, "Invalid", f'{kind} "{name}" is invalid: {text}', details)


def rejected(why: str) -> StatusError:
    """A JSON patch that is well formed but does not apply, a failed `test` included."""
    details = {"causes": [{"message": why}]}
    message = f"the server rejected our request due to an error in our request: {why}"
    return StatusError(422, "Invalid", message, details)


def forbidden(resource: Resource, name: str, why: str) -> StatusError:
    message = f'{resource.qualified} "{name}" is forbidden: {why}'
    return StatusError(403, "Forbidden", message, _details(resource, name))


def bad_request(why: str) -> StatusError:
    return StatusError(400, "BadRequest", why)


def unauthorized() -> StatusError:
    return StatusError(401, "Unauthorized", "Unauthorized")


def method_not_allowed() -> StatusError:
    return StatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def unsupported_media_type(media_type: str, supported: Sequence[str]) -> StatusError:
    message = f'the body of the request was in an unknown format "{media_type}" - accepted: {", ".join(supported)}'
    return StatusError(415, "UnsupportedMediaType", message)


def internal_error() -> StatusError:
    return StatusError(500, "InternalError", "the stand-in failed; its log says why")


def expired(asked: int, oldest: int) -> StatusError:
    return StatusError(410, "Expired", f"too old resource version: {asked} ({oldest})")
