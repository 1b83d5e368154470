"""The API's rules about objects, seen through the Python client that the flows use."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes.client import ApiException

from tests.lab.kube import standin
from tests.lab.kube.standin import StandIn

IDLE = {"replicas": 0}  # objects without processes


def refusal(call: Callable[[], object]) -> tuple[int, str, str]:
    """Code, reason and message of the Status that a call is refused with."""
    with pytest.raises(ApiException) as raised:
        call()
    body = json.loads(raised.value.body)
    assert (body["kind"], body["code"]) == ("Status", raised.value.status)
    return body["code"], body["reason"], body["message"]


def config_map(name: str = "journal", **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"app": name}}, "data": data}


def test_a_new_object_gets_the_metadata_that_the_server_owns(cluster: StandIn, space: str) -> None:
    """uid, creationTimestamp, resourceVersion and generation are set; a client's own values for them are not kept."""
    body = standin.deployment(**IDLE)
    body["metadata"] |= {"uid": "mine", "generation": 7}
    made = cluster.apps.create_namespaced_deployment(space, body).metadata
    assert made.uid != "mine"
    assert (made.generation, made.namespace, made.creation_timestamp is None) == (1, space, False)


def test_every_write_has_a_higher_resource_version_and_one_without_change_has_none(
    cluster: StandIn, space: str
) -> None:
    """The counter is global over kinds, and an update that changes nothing is no write."""
    first = cluster.core.create_namespaced_config_map(space, config_map())
    second = cluster.core.create_namespaced_secret(space, {"metadata": {"name": "key"}, "stringData": {"a": "b"}})
    same = cluster.core.patch_namespaced_config_map("journal", space, {"data": {}})
    assert int(second.metadata.resource_version) > int(first.metadata.resource_version)
    assert same.metadata.resource_version == first.metadata.resource_version
    assert second.data == {"a": "Yg=="}


def test_what_is_not_there_is_a_404(cluster: StandIn, space: str) -> None:
    """Object, namespace and path: each refusal says what is missing."""
    code, reason, message = refusal(lambda: cluster.apps.read_namespaced_deployment("gone", space))
    assert (code, reason, message) == (404, "NotFound", 'deployments.apps "gone" not found')
    code, _, message = refusal(lambda: cluster.core.create_namespaced_config_map("nowhere", config_map()))
    assert (code, message) == (404, 'namespaces "nowhere" not found')


def test_creating_twice_is_a_409(cluster: StandIn, space: str) -> None:
    """The second POST is AlreadyExists, not Conflict: clients tell them apart by the reason."""
    cluster.core.create_namespaced_config_map(space, config_map())
    code, reason, message = refusal(lambda: cluster.core.create_namespaced_config_map(space, config_map()))
    assert (code, reason, message) == (409, "AlreadyExists", 'configmaps "journal" already exists')


def test_a_stale_resource_version_is_a_409_for_put_and_for_patch(cluster: StandIn, space: str) -> None:
    """Who read before somebody else wrote is refused; who names no version is not."""
    old = cluster.core.create_namespaced_config_map(space, config_map(a="1"))
    cluster.core.patch_namespaced_config_map("journal", space, {"data": {"a": "2"}})
    stale = {"metadata": {"resourceVersion": old.metadata.resource_version}, "data": {"a": "3"}}
    put = refusal(lambda: cluster.core.replace_namespaced_config_map("journal", space, old))
    patch = refusal(lambda: cluster.core.patch_namespaced_config_map("journal", space, stale))
    assert put[:2] == patch[:2] == (409, "Conflict")
    assert "please apply your changes to the latest version" in put[2]
    assert cluster.core.read_namespaced_config_map("journal", space).data == {"a": "2"}


def test_generation_counts_changes_of_the_spec_alone(cluster: StandIn, space: str) -> None:
    """A label leaves the generation, replicas raise it, and the controller's status follows it."""
    cluster.apps.create_namespaced_deployment(space, standin.deployment(**IDLE))
    labelled = cluster.apps.patch_namespaced_deployment("web", space, {"metadata": {"labels": {"a": "b"}}})
    changed = cluster.apps.patch_namespaced_deployment("web", space, {"spec": {"revisionHistoryLimit": 3}})
    assert (labelled.metadata.generation, changed.metadata.generation) == (1, 2)
    standin.wait_until(lambda: standin.rolled_out(cluster.apps, space, pods=0))


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        ({"spec": {"replicas": -1}}, "spec.replicas"),
        ({"spec": {"selector": {"matchLabels": {"app": "other"}}}}, "spec.selector"),
        ({"spec": {"template": {"metadata": {"labels": {"app": "other"}}}}}, "spec.template.metadata.labels"),
        ({"spec": {"template": {"spec": {"containers": [{"name": "new"}]}}}}, "spec.template.spec.containers[0].image"),
        ({"spec": {"strategy": {"type": "Blue"}}}, "spec.strategy.type"),
    ],
)
def test_a_deployment_that_makes_no_sense_is_a_422(
    cluster: StandIn, space: str, patch: dict[str, Any], field: str
) -> None:
    """The Status names the field at fault, and the object stays as it was."""
    before = cluster.apps.create_namespaced_deployment(space, standin.deployment(**IDLE))
    code, reason, message = refusal(lambda: cluster.apps.patch_namespaced_deployment("web", space, patch))
    assert (code, reason) == (422, "Invalid")
    assert f"{field}: " in message
    assert cluster.apps.read_namespaced_deployment("web", space).spec == before.spec


def test_an_environment_value_that_is_not_text_is_a_400(cluster: StandIn, space: str) -> None:
    """`true` without quotes is refused, as the real server cannot decode it."""
    cluster.apps.create_namespaced_deployment(space, standin.deployment(**IDLE))
    patch = standin.env_patch(GREETING=True)  # type: ignore[arg-type]  # the mistake
    code, reason, message = refusal(lambda: cluster.apps.patch_namespaced_deployment("web", space, patch))
    assert (code, reason) == (400, "BadRequest")
    assert "cannot unmarshal bool" in message


def test_bounds_of_an_autoscaler_are_checked(cluster: StandIn, space: str) -> None:
    """A minimum above the maximum is a 422 that names the field."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": target, "minReplicas": 7, "maxReplicas": 6}
    body = {"metadata": {"name": "web"}, "spec": spec}
    create = cluster.autoscaling.create_namespaced_horizontal_pod_autoscaler
    code, _, message = refusal(lambda: create(space, body))
    assert code == 422
    assert "spec.maxReplicas: Invalid value: 6" in message


def test_a_dry_run_answers_and_keeps_nothing(cluster: StandIn, space: str) -> None:
    """Create, patch and delete with dryRun=All are checked and answered, and change nothing."""
    cluster.core.create_namespaced_config_map(space, config_map(a="1"))
    cluster.core.create_namespaced_config_map(space, config_map("other"), dry_run="All")
    patched = cluster.core.patch_namespaced_config_map("journal", space, {"data": {"a": "2"}}, dry_run="All")
    cluster.core.delete_namespaced_config_map("journal", space, dry_run="All")
    assert patched.data == {"a": "2"}
    [kept] = cluster.core.list_namespaced_config_map(space).items
    assert (kept.metadata.name, kept.data) == ("journal", {"a": "1"})


@pytest.mark.parametrize(
    ("selector", "found"),
    [("app=a", ["a"]), ("app in (a, b)", ["a", "b"]), ("app notin (a)", ["b", "c"]), ("app!=a,!x", ["b", "c"])],
)
def test_lists_can_be_selected_by_label(cluster: StandIn, space: str, selector: str, found: list[str]) -> None:
    """Equality and sets, alone and joined."""
    for name in ("a", "b", "c"):
        cluster.core.create_namespaced_config_map(space, config_map(name))
    listed = cluster.core.list_namespaced_config_map(space, label_selector=selector).items
    assert [item.metadata.name for item in listed] == found


def test_lists_can_be_selected_by_field_and_go_over_all_namespaces(cluster: StandIn, space: str) -> None:
    """metadata.name and metadata.namespace select; a field that cannot be selected by is a 400."""
    cluster.core.create_namespaced_config_map(space, config_map("a"))
    cluster.core.create_namespaced_config_map(space, config_map("b"))
    fields = f"metadata.namespace={space},metadata.name!=a"
    listed = cluster.core.list_config_map_for_all_namespaces(field_selector=fields).items
    assert [item.metadata.name for item in listed] == ["b"]
    code, _, message = refusal(lambda: cluster.core.list_namespaced_pod(space, field_selector="spec.nodename=x"))
    assert (code, message) == (400, "field label not supported: spec.nodename")


def test_a_json_patch_applies_whole_or_not_at_all(cluster: StandIn, space: str) -> None:
    """A failed `test` is a 422 and leaves what stood before it undone."""
    cluster.core.create_namespaced_config_map(space, config_map(a="1"))
    failing = [{"op": "remove", "path": "/data/a"}, {"op": "test", "path": "/metadata/name", "value": "x"}]
    code, reason, _ = refusal(lambda: cluster.core.patch_namespaced_config_map("journal", space, failing))
    assert (code, reason) == (422, "Invalid")
    replaced = [{"op": "test", "path": "/data/a", "value": "1"}, {"op": "replace", "path": "/data/a", "value": "2"}]
    assert cluster.core.patch_namespaced_config_map("journal", space, replaced).data == {"a": "2"}


def test_status_and_spec_are_written_apart(cluster: StandIn, space: str) -> None:
    """A patch of the object leaves its status, a patch of the status leaves its spec."""
    body = standin.service(standin.free_port())
    cluster.core.create_namespaced_service(space, body)
    mixed: dict[str, Any] = {
        "spec": {"selector": {"app": "new"}},
        "status": {"conditions": [condition("Spec")]},
    }
    through_spec = cluster.core.patch_namespaced_service("web", space, mixed)
    assert (through_spec.spec.selector["app"], through_spec.status.conditions) == ("new", None)
    mixed["spec"]["selector"]["app"] = "newer"
    through_status = cluster.core.patch_namespaced_service_status("web", space, mixed)
    assert (through_status.spec.selector["app"], through_status.status.conditions[0].type) == ("new", "Spec")


def condition(kind: str) -> dict[str, Any]:
    at = "2026-01-01T00:00:00Z"
    return {"type": kind, "status": "True", "reason": "Test", "message": "", "lastTransitionTime": at}


def test_a_deletion_can_insist_on_one_incarnation(cluster: StandIn, space: str) -> None:
    """A uid that is not the object's is a 409, so an undo cannot delete a successor."""
    made = cluster.core.create_namespaced_config_map(space, config_map())
    other = {"preconditions": {"uid": "another"}}
    code, reason, _ = refusal(lambda: cluster.core.delete_namespaced_config_map("journal", space, body=other))
    assert (code, reason) == (409, "Conflict")
    right = {"preconditions": {"uid": made.metadata.uid}}
    assert cluster.core.delete_namespaced_config_map("journal", space, body=right).status == "Success"


def test_a_namespace_goes_with_all_that_is_in_it(cluster: StandIn) -> None:
    """The namespace is there until its last pod has ended, and takes nothing new meanwhile."""
    cluster.core.create_namespace({"metadata": {"name": "short-lived"}})
    cluster.apps.create_namespaced_deployment("short-lived", standin.deployment(replicas=1))
    standin.wait_until(lambda: standin.rolled_out(cluster.apps, "short-lived", pods=1))
    cluster.core.delete_namespace("short-lived")
    code, _, message = refusal(lambda: cluster.core.create_namespaced_config_map("short-lived", config_map()))
    assert (code, "is being terminated" in message) == (403, True)
    standin.wait_until(lambda: "short-lived" not in [one.metadata.name for one in cluster.core.list_namespace().items])
    assert cluster.apps.list_namespaced_deployment("short-lived").items == []
