"""What a client reads before its first request: versions, groups, resources, and that patches may be strategic."""

from collections.abc import Callable

from aegis_flows.lab.kube import resources
from aegis_flows.lab.kube.objects import Object
from aegis_flows.lab.kube.resources import GROUPS, POD_METRICS, Resource

_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_VERSION: Object = {
    "major": "1",
    "minor": "32",
    "gitVersion": "v1.32.0+aegis-lab",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}


def document(path: str) -> Object | None:
    """The discovery document at a path; None where there is none."""
    fixed: dict[str, Callable[[], Object]] = {
        "/version": lambda: _VERSION,
        "/api": lambda: {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
        "/apis": lambda: {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*one) for one in GROUPS]},
        "/openapi/v3": _open_api_index,
    }
    path = path.rstrip("/")
    if path in fixed:
        return fixed[path]()
    match path.removeprefix("/openapi/v3").strip("/").split("/"):
        case ["api", version]:
            return _listing("", version, path)
        case ["apis", group, version]:
            return _listing(group, version, path)
        case ["apis", group]:
            return next(
                ({"kind": "APIGroup", "apiVersion": "v1", **_group(*one)} for one in GROUPS if one[0] == group), None
            )
    return None


def _group(group: str, version: str) -> Object:
    preferred = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [preferred], "preferredVersion": preferred}


def _listing(group: str, version: str, path: str) -> Object | None:
    members = [one for one in resources.SERVED if (one.group, one.version) == (group, version)]
    if not members:
        return None
    if path.startswith("/openapi"):
        return _open_api(members)
    entries = [entry for resource in members for entry in _entries(resource)]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": members[0].api_version,
        "resources": entries,
    }


def _entries(resource: Resource) -> list[Object]:
    shared = {"singularName": "", "namespaced": resource.namespaced, "kind": resource.kind}
    main = {
        **shared,
        "name": resource.plural,
        "singularName": resource.kind.lower(),
        "verbs": ["get", "list"] if resource is POD_METRICS else list(_VERBS),
        "shortNames": list(resource.short),
        "categories": list(resource.categories),
    }
    return [main, *(shared | _subresource(resource, one) for one in resource.subresources)]


def _subresource(resource: Resource, called: str) -> Object:
    entry: Object = {"name": f"{resource.plural}/{called}", "verbs": ["get"]}
    if called == "scale":
        entry |= {"kind": "Scale", "group": "autoscaling", "version": "v1"}
    return entry if called == "log" else entry | {"verbs": ["get", "patch", "update"]}


def _open_api_index() -> Object:
    roots = ["api/v1", *(f"apis/{group}/{version}" for group, version in GROUPS)]
    return {"paths": {root: {"serverRelativeURL": f"/openapi/v3/{root}"} for root in roots}}


def _open_api(members: list[Resource]) -> Object:
    """No schemas: only that PATCH takes `fieldValidation`, so that kubectl leaves the checks to the server."""
    return {
        "openapi": "3.0.0",
        "info": {"title": "aegis lab", "version": _VERSION["gitVersion"]},
        "paths": {_path(resource): {"patch": _patch_operation(resource)} for resource in members},
    }


def _path(resource: Resource) -> str:
    root = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.version}"
    return f"{root}/{'namespaces/{namespace}/' if resource.namespaced else ''}{resource.plural}/{{name}}"


def _patch_operation(resource: Resource) -> Object:
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    parameter = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
    return {
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": kind,
        "parameters": [parameter],
        "responses": {"200": {"description": "OK"}},
    }
