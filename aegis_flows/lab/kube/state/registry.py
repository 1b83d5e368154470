"""The verbs on objects, with the rules that need more than the one object."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aegis_flows.lab.kube.errors import already_exists, conflict, forbidden, not_found
from aegis_flows.lab.kube.network import ports
from aegis_flows.lab.kube.objects import Object, deleting, name, namespace, now, owned_by, uid
from aegis_flows.lab.kube.resources import ALL, NAMESPACES, PODS, SERVICES, Resource
from aegis_flows.lab.kube.state import writes
from aegis_flows.lab.kube.state.store import Store


@dataclass(frozen=True)
class Deletion:
    """What a DELETE asks for; grace is in seconds, None means the pod's own."""

    grace: int | None = None
    orphan: bool = False
    uid: str | None = None
    revision: str | None = None
    dry_run: bool = False


class Registry:
    """Creates, changes and deletes the objects of a store; refusals are raised as StatusError."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def get(self, resource: Resource, inside: str, called: str) -> Object:
        item = self.store.find(resource.plural, inside, called)
        if item is None:
            raise not_found(resource, called)
        return item

    def create(self, resource: Resource, inside: str, body: Object, *, dry_run: bool = False) -> Object:
        item = writes.created(resource, inside, body)
        if resource.namespaced:
            self._open_namespace(resource, inside, item)
        if self.store.find(resource.plural, namespace(item), name(item)) is not None:
            raise already_exists(resource, name(item))
        return self._put(resource, item, dry_run=dry_run)

    def update(self, resource: Resource, before: Object, body: Object, *, dry_run: bool = False) -> Object:
        return self._put(resource, writes.updated(resource, before, body), dry_run=dry_run)

    def update_status(self, resource: Resource, before: Object, body: Object, *, dry_run: bool = False) -> Object:
        return self._put(resource, writes.with_status(resource, before, body), dry_run=dry_run)

    def edit(self, resource: Resource, item: Object, change: Callable[[Object], None]) -> None:
        """Change the newest version of a controller's object; one that is gone stays gone."""
        before = self.store.find(resource.plural, namespace(item), name(item))
        if before is not None and uid(before) == uid(item):
            after = copy.deepcopy(before)
            change(after)
            self.store.put(resource.plural, writes.counted(resource, before, after))

    def delete(self, resource: Resource, item: Object, wanted: Deletion) -> Object:
        """Delete, or begin to: a pod ends when its process has, a namespace when it is empty."""
        self._check_preconditions(resource, item, wanted)
        if wanted.dry_run:
            return item
        if resource is PODS:
            return self._delete_pod(item, wanted.grace)
        if resource is NAMESPACES:
            self.edit(NAMESPACES, item, _terminate)
            return self.store.find("namespaces", "", name(item)) or item
        if wanted.orphan:
            self._orphan_dependents(item)
        self.store.drop(resource.plural, item)
        return item

    def _put(self, resource: Resource, item: Object, *, dry_run: bool) -> Object:
        if resource is SERVICES:
            ports.assign(item, self.store.all("services"))
        return item if dry_run else self.store.put(resource.plural, item)

    def _open_namespace(self, resource: Resource, inside: str, item: Object) -> None:
        if deleting(self.get(NAMESPACES, "", inside)):
            why = f"unable to create new content in namespace {inside} because it is being terminated"
            raise forbidden(resource, name(item), why)

    def _check_preconditions(self, resource: Resource, item: Object, wanted: Deletion) -> None:
        if wanted.uid not in (None, uid(item)):
            why = f"Precondition failed: UID in precondition: {wanted.uid}, UID in object meta: {uid(item)}"
            raise conflict(resource, name(item), why)
        if wanted.revision not in (None, item["metadata"]["resourceVersion"]):
            raise conflict(resource, name(item))

    def _delete_pod(self, pod: Object, asked: int | None) -> Object:
        grace = pod["spec"]["terminationGracePeriodSeconds"] if asked is None else asked
        if grace == 0:
            self.store.drop("pods", pod)
            return pod
        if not deleting(pod) or grace < pod["metadata"]["deletionGracePeriodSeconds"]:
            self.edit(PODS, pod, lambda item: _mark_deleted(item, grace))
        return self.get(PODS, namespace(pod), name(pod))

    def _orphan_dependents(self, owner: Object) -> None:
        for resource in ALL:
            for item in self.store.all(resource.plural, namespace(owner)):
                if owned_by(item, owner):
                    self.edit(resource, item, lambda one: _disown(one, owner))


def _mark_deleted(pod: Object, grace: int) -> None:
    until = datetime.now(UTC) + timedelta(seconds=grace)
    deadline = until.strftime("%Y-%m-%dT%H:%M:%SZ")
    pod["metadata"] |= {"deletionTimestamp": deadline, "deletionGracePeriodSeconds": grace}


def _terminate(space: Object) -> None:
    space["metadata"].setdefault("deletionTimestamp", now())
    space["status"]["phase"] = "Terminating"


def _disown(item: Object, owner: Object) -> None:
    kept = [reference for reference in item["metadata"]["ownerReferences"] if reference["uid"] != uid(owner)]
    item["metadata"]["ownerReferences"] = kept
