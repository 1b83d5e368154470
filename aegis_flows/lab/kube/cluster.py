"""The stand-in as a whole: store, controllers, kubelet and proxy behind one ASGI application."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Route

from aegis_flows.lab.kube.api.application import Api
from aegis_flows.lab.kube.api.watching import Watches
from aegis_flows.lab.kube.controllers.autoscalers import Autoscalers
from aegis_flows.lab.kube.controllers.collector import Collector
from aegis_flows.lab.kube.controllers.deployments import Deployments
from aegis_flows.lab.kube.controllers.loop import Controllers
from aegis_flows.lab.kube.controllers.replica_sets import ReplicaSets
from aegis_flows.lab.kube.network.service_proxy import ServiceProxy
from aegis_flows.lab.kube.node.kubelet import Kubelet
from aegis_flows.lab.kube.resources import NAMESPACES
from aegis_flows.lab.kube.state.registry import Registry
from aegis_flows.lab.kube.state.store import Store

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class Cluster:
    """An empty cluster with the namespace `default`; pods' logs go under `folder`."""

    def __init__(self, folder: Path, token: str | None = None) -> None:
        store = Store()
        self.watches = Watches(store)
        self._folder = folder
        self._registry = Registry(store)
        self._controllers = Controllers(store)
        api = Api(self._registry, self.watches, folder, token)
        route = Route("/{path:path}", api.answer, methods=_METHODS)
        self.app = Starlette(routes=[route], lifespan=self._lifespan)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        kubelet, proxy = Kubelet(self._registry, self._folder), ServiceProxy(self._registry)
        self._registry.create(NAMESPACES, "", {"metadata": {"name": "default"}})
        self._controllers.start(
            Collector(self._registry).reconcile,
            Autoscalers(self._registry).reconcile,
            Deployments(self._registry, self._controllers.wake_in).reconcile,
            ReplicaSets(self._registry).reconcile,
            kubelet.reconcile,
            proxy.reconcile,
        )
        try:
            yield
        finally:
            self._controllers.stop()
            proxy.close()
            await kubelet.stop()
