"""The replica set controller: as many pods as asked for."""

import copy

from aegis_flows.lab.kube.objects import Object, deleting, finished, name, namespace, owned_by, owner_reference, ready
from aegis_flows.lab.kube.resources import PODS, REPLICA_SETS
from aegis_flows.lab.kube.state import events
from aegis_flows.lab.kube.state.registry import Deletion, Registry


class ReplicaSets:
    """Makes and deletes pods until each replica set has its number."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def reconcile(self) -> None:
        for one in self._registry.store.all("replicasets"):
            pods = self._alive(one)
            for _ in range(one["spec"]["replicas"] - len(pods)):
                pod = self._registry.create(PODS, namespace(one), _pod(one))
                events.record(self._registry, one, "SuccessfulCreate", f"Created pod: {name(pod)}")
            for pod in first_to_go(pods)[: max(0, len(pods) - one["spec"]["replicas"])]:
                self._registry.delete(PODS, pod, Deletion())
                events.record(self._registry, one, "SuccessfulDelete", f"Deleted pod: {name(pod)}")
            self._report(one)

    def _alive(self, one: Object) -> list[Object]:
        pods = self._registry.store.all("pods", namespace(one))
        return [pod for pod in pods if owned_by(pod, one) and not deleting(pod) and not finished(pod)]

    def _report(self, one: Object) -> None:
        pods = self._alive(one)
        numbers = {"fullyLabeledReplicas": len(pods), "readyReplicas": sum(ready(pod) for pod in pods)}
        numbers["availableReplicas"] = numbers["readyReplicas"]
        status = {"replicas": len(pods), "observedGeneration": one["metadata"]["generation"]}
        status |= {key: value for key, value in numbers.items() if value}
        self._registry.edit(REPLICA_SETS, one, lambda item: item.update(status=status))


def first_to_go(pods: list[Object]) -> list[Object]:
    """The order of deletion: pods that are not ready before those that are, then the youngest."""
    youngest_first = sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True)
    return sorted(youngest_first, key=ready)


def _pod(one: Object) -> Object:
    template = copy.deepcopy(one["spec"]["template"])
    metadata = template.get("metadata") or {}
    metadata.pop("creationTimestamp", None)
    return {
        "metadata": {**metadata, "generateName": f"{name(one)}-", "ownerReferences": [owner_reference(one)]},
        "spec": template["spec"],
    }
