"""The garbage collector: what has lost its owner goes, and a namespace that is ending goes when it is empty."""

from aegis_flows.lab.kube.objects import Object, deleting, name, owners, uid
from aegis_flows.lab.kube.resources import ALL
from aegis_flows.lab.kube.state.registry import Deletion, Registry


class Collector:
    """Deletes in the background, as `kubectl delete` asks by default."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def reconcile(self) -> None:
        self._empty_namespaces()
        store = self._registry.store
        living = {uid(item) for resource in ALL for item in store.all(resource.plural)}
        for resource in ALL:
            for item in store.all(resource.plural):
                if owners(item) and not any(owner["uid"] in living for owner in owners(item)) and not deleting(item):
                    self._registry.delete(resource, item, Deletion())

    def _empty_namespaces(self) -> None:
        for space in self._registry.store.all("namespaces"):
            if deleting(space):
                self._empty(space)

    def _empty(self, space: Object) -> None:
        store = self._registry.store
        inside = [(kind, item) for kind in ALL if kind.namespaced for item in store.all(kind.plural, name(space))]
        for kind, item in inside:
            if not deleting(item):
                self._registry.delete(kind, item, Deletion())
        if not any(store.all(kind.plural, name(space)) for kind in ALL if kind.namespaced):
            store.drop("namespaces", space)
