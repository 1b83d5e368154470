"""The deployment controller: replica sets for each template, sized step by step."""

import functools
from collections.abc import Callable, Mapping, Sequence

from aegis_flows.lab.kube.controllers import deployment_status, revisions, rollouts
from aegis_flows.lab.kube.controllers.deployment_status import Counts
from aegis_flows.lab.kube.controllers.rollouts import Sized
from aegis_flows.lab.kube.objects import Object, deleting, finished, name, namespace, owned_by, ready, uid
from aegis_flows.lab.kube.resources import DEPLOYMENTS, REPLICA_SETS
from aegis_flows.lab.kube.state import events
from aegis_flows.lab.kube.state.registry import Deletion, Registry


class Deployments:
    """Brings every Deployment one step nearer at each call; `wake_in` asks for a call after so many seconds."""

    def __init__(self, registry: Registry, wake_in: Callable[[float], None]) -> None:
        self._registry = registry
        self._wake_in = wake_in

    def reconcile(self) -> None:
        for deployment in self._registry.store.all("deployments"):
            sets = self._owned("replicasets", deployment)
            new = revisions.current(deployment, sets)
            if new is None and not deployment["spec"].get("paused"):
                made = revisions.replica_set(deployment)
                new = self._registry.create(REPLICA_SETS, namespace(deployment), made)
            old = [one for one in sets if new is None or uid(one) != uid(new)]
            self._roll(deployment, new, old)

    def _roll(self, deployment: Object, new: Object | None, old: Sequence[Object]) -> None:
        if new is not None:
            self._number(deployment, new, old)
        self._resize(deployment, [*([new] if new else []), *old], self._sizes(deployment, new, old))
        busy = {name(one) for one in old if self._owned("pods", one)}
        for one in revisions.surplus(deployment, old, busy):
            self._registry.delete(REPLICA_SETS, one, Deletion())
        self._report(deployment, new, old)

    def _owned(self, plural: str, owner: Object) -> list[Object]:
        return [one for one in self._registry.store.all(plural, namespace(owner)) if owned_by(one, owner)]

    def _number(self, deployment: Object, new: Object, old: Sequence[Object]) -> None:
        marks = {revisions.REVISION: str(revisions.next_number(new, old))}
        self._registry.edit(REPLICA_SETS, new, lambda item: _annotate(item, revisions.inherited(deployment) | marks))
        self._registry.edit(DEPLOYMENTS, deployment, lambda item: _annotate(item, marks))

    def _sizes(self, deployment: Object, new: Object | None, old: Sequence[Object]) -> Mapping[str, int]:
        desired = deployment["spec"]["replicas"]
        fresh, others = self._sized(new) if new else None, [self._sized(one) for one in old]
        if fresh is None or deployment["spec"].get("paused"):
            return rollouts.resized(desired, fresh, others)
        if deployment["spec"]["strategy"]["type"] == "Recreate":
            old_pods = any(self._owned("pods", one) for one in old)
            return rollouts.recreate(desired, fresh, others, old_pods=old_pods)
        return rollouts.rolling(_bounds(deployment), fresh, others)

    def _sized(self, one: Object) -> Sized:
        pods = self._owned("pods", one)
        available = sum(ready(pod) and not deleting(pod) for pod in pods)
        return Sized(name(one), one["spec"]["replicas"], min(available, one["spec"]["replicas"]))

    def _resize(self, deployment: Object, sets: Sequence[Object], sizes: Mapping[str, int]) -> None:
        for one in sets:
            before, size = one["spec"]["replicas"], sizes.get(name(one))
            if size is not None and size != before:
                self._registry.edit(REPLICA_SETS, one, functools.partial(_set_replicas, size))
                word = "up" if size > before else "down"
                said = f"Scaled {word} replica set {name(one)} from {before} to {size}"
                events.record(self._registry, deployment, "ScalingReplicaSet", said)

    def _report(self, deployment: Object, new: Object | None, old: Sequence[Object]) -> None:
        fresh = self._alive(new) if new else []
        pods = [*fresh, *(pod for one in old for pod in self._alive(one))]
        counts = Counts(len(pods), len(fresh), sum(ready(pod) for pod in pods))
        limit = _bounds(deployment)
        status = deployment_status.status(deployment, counts, limit.desired - limit.missing, new)
        self._registry.edit(DEPLOYMENTS, deployment, lambda item: item.update(status=status))
        left = deployment_status.seconds_to_deadline({**deployment, "status": status})
        if left is not None:
            self._wake_in(left + 1)  # timestamps have whole seconds

    def _alive(self, one: Object) -> list[Object]:
        return [pod for pod in self._owned("pods", one) if not deleting(pod) and not finished(pod)]


def _bounds(deployment: Object) -> rollouts.Bounds:
    rolling = deployment["spec"]["strategy"].get("rollingUpdate") or {"maxSurge": 1, "maxUnavailable": 0}
    return rollouts.bounds(deployment["spec"]["replicas"], rolling["maxSurge"], rolling["maxUnavailable"])


def _set_replicas(size: int, item: Object) -> None:
    item["spec"]["replicas"] = size


def _annotate(item: Object, marks: Mapping[str, str]) -> None:
    item["metadata"]["annotations"] = (item["metadata"].get("annotations") or {}) | dict(marks)
