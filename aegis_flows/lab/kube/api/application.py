"""The HTTP face: requests to verbs, verbs to answers."""

import logging
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from aegis_flows.lab.kube import resources
from aegis_flows.lab.kube.api import access, discovery, patches, queries, scale, tables
from aegis_flows.lab.kube.api.watching import Watches
from aegis_flows.lab.kube.errors import StatusError, bad_request, internal_error, method_not_allowed, no_such_resource
from aegis_flows.lab.kube.node import logs, usage
from aegis_flows.lab.kube.objects import Object, name, truth, uid
from aegis_flows.lab.kube.resources import NAMESPACES, POD_METRICS, PODS, Target
from aegis_flows.lab.kube.state.registry import Deletion, Registry

log = logging.getLogger(__name__)

_HEALTH = ("/readyz", "/livez", "/healthz")


@dataclass(frozen=True)
class Api:
    """Answers requests from a registry; pods' logs lie under `folder`. Without a token everybody may ask."""

    registry: Registry
    watches: Watches
    folder: Path
    token: str | None = None

    async def answer(self, request: Request) -> Response:
        """The answer to any request; every refusal is a Status, as kube-apiserver's are."""
        try:
            return await self._answer(request)
        except StatusError as error:
            return JSONResponse(error.body, error.code)
        except Exception:  # a fault of the stand-in is a Status too, and stands in the log
            log.exception("%s %s failed", request.method, request.url.path)
            fault = internal_error()
            return JSONResponse(fault.body, fault.code)

    async def _answer(self, request: Request) -> Response:
        path = request.url.path
        if path in _HEALTH:
            return PlainTextResponse("ok")
        access.check(self.token, path, request.headers.get("authorization", ""))
        if (document := discovery.document(path)) is not None:
            return JSONResponse(document)
        target = resources.target(path)
        if target is None:
            raise no_such_resource()
        if target.resource is POD_METRICS:
            return await self._measure(request, target)
        # The body is read first: from here on nothing waits, so nothing comes between reading and writing.
        body = await request.body()
        return self._answer_item(request, target, body) if target.name else self._answer_all(request, target, body)

    def _answer_item(self, request: Request, target: Target, body: bytes) -> Response:
        item = self.registry.get(target.resource, target.namespace, target.name)
        if target.subresource == "log":
            return self._log(request, item)
        shown = scale.of(item) if target.subresource == "scale" else item
        match request.method:
            case "GET":
                return JSONResponse(shown if target.subresource else queries.shower(request, target)(item))
            case "PUT":
                return self._written(request, target, item, queries.decoded(request, body))
            case "PATCH":
                media_type = request.headers.get("content-type", "")
                return self._written(request, target, item, patches.patched(shown, media_type, body))
            case "DELETE" if not target.subresource:
                return self._deleted(target, item, queries.deletion(request, body))
        raise method_not_allowed()

    def _answer_all(self, request: Request, target: Target, body: bytes) -> Response:
        match request.method:
            case "GET" if truth(request.query_params.get("watch")):
                return self._watch(request, target)
            case "GET":
                return self._list(request, target)
            case "POST" if target.namespace or not target.resource.namespaced:
                return self._created(request, target, queries.decoded(request, body))
            case "DELETE":
                for item in self._found(request, target):
                    self.registry.delete(target.resource, item, queries.deletion(request, body))
                return JSONResponse(_success({}))
        raise method_not_allowed()

    def _created(self, request: Request, target: Target, body: Object) -> Response:
        item = self.registry.create(target.resource, target.namespace, body, dry_run=queries.dry_run(request))
        return JSONResponse(item, 201)

    def _written(self, request: Request, target: Target, before: Object, body: Object) -> Response:
        dry_run = queries.dry_run(request)
        match target.subresource:
            case "scale":
                after = self.registry.update(target.resource, before, scale.applied(before, body), dry_run=dry_run)
                return JSONResponse(scale.of(after))
            case "status":
                return JSONResponse(self.registry.update_status(target.resource, before, body, dry_run=dry_run))
        return JSONResponse(self.registry.update(target.resource, before, body, dry_run=dry_run))

    def _deleted(self, target: Target, item: Object, wanted: Deletion) -> Response:
        gone = self.registry.delete(target.resource, item, wanted)
        if target.resource in (PODS, NAMESPACES):
            return JSONResponse(gone)
        details = {"name": name(item), "group": target.resource.group, "kind": target.resource.plural, "uid": uid(item)}
        return JSONResponse(_success(details))

    def _list(self, request: Request, target: Target) -> Response:
        items = self._found(request, target)
        revision = str(self.registry.store.revision)
        if tables.wanted(request.headers.get("accept", "")):
            return JSONResponse(tables.table(target.resource, items, revision))
        kind = {"kind": f"{target.resource.kind}List", "apiVersion": target.resource.api_version}
        return JSONResponse({**kind, "metadata": {"resourceVersion": revision}, "items": items})

    def _found(self, request: Request, target: Target) -> list[Object]:
        matches = queries.matcher(request, target)
        return [item for item in self.registry.store.all(target.resource.plural, target.namespace) if matches(item)]

    def _watch(self, request: Request, target: Target) -> Response:
        wanted = queries.watched(request, target)
        return StreamingResponse(self.watches.stream(wanted), media_type="application/json")

    async def _measure(self, request: Request, target: Target) -> Response:
        if request.method != "GET":
            raise method_not_allowed()
        pods = Target(PODS, target.namespace, target.name)
        if target.name:
            found = [self.registry.get(PODS, target.namespace, target.name)]
            return JSONResponse((await usage.measured(found))[0])
        items = await usage.measured(self._found(request, pods))
        kind = {"kind": "PodMetricsList", "apiVersion": POD_METRICS.api_version}
        return JSONResponse({**kind, "metadata": {}, "items": items})

    def _log(self, request: Request, pod: Object) -> Response:
        query = request.query_params
        container = pod["spec"]["containers"][0]["name"]
        if query.get("container", container) != container:
            raise bad_request(f"container {query['container']} is not valid for pod {name(pod)}")
        restarts = next((one["restartCount"] for one in pod["status"].get("containerStatuses") or []), 0)
        attempt = restarts - truth(query.get("previous"))
        if attempt < 0:
            raise bad_request(f'previous terminated container "{container}" in pod "{name(pod)}" not found')
        return PlainTextResponse(logs.read(logs.path(self.folder, pod, attempt), logs.wanted(query)))


def _success(details: Object) -> Object:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
