"""Strategic merge patch, with the results that a real kube-apiserver gives."""

from typing import Any

import pytest

from aegis_flows.lab.kube.api.strategic import merged

A, B, C = ({"name": name, "value": "1"} for name in "ABC")


def env(*variables: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"containers": [{"name": "web", "image": "i", "env": list(variables)} | more]}


def patch(*variables: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"containers": [{"name": "web", "env": list(variables)} | more]}


@pytest.mark.parametrize(
    ("given", "after"),
    [
        (patch({"name": "B", "value": "2"}), env(A, {"name": "B", "value": "2"}, C)),
        (patch({"name": "B", "$patch": "delete"}), env(A, C)),
        (patch({"name": "D", "value": "4"}), env({"name": "D", "value": "4"}, A, B, C)),
        (patch({"$patch": "replace"}, {"name": "D", "value": "4"}), env({"name": "D", "value": "4"})),
        (patch({"name": "B", "value": None, "valueFrom": {"x": 1}}), env(A, {"name": "B", "valueFrom": {"x": 1}}, C)),
        ({"containers": [{"name": "web", "env": None}]}, {"containers": [{"name": "web", "image": "i"}]}),
        ({"containers": [{"name": "web", "args": ["x"]}]}, env(A, B, C, args=["x"])),
    ],
    ids=["change", "delete", "add", "replace", "null in an item", "null list", "atomic list"],
)
def test_the_environment_is_merged_by_name(given: dict[str, Any], after: dict[str, Any]) -> None:
    """What the patch does not name stays, in its place; what is new comes first, as with the real server."""
    before = env(A, B, C)
    assert merged(before, given) == after
    assert before == env(A, B, C)


def test_a_container_that_is_new_stands_before_the_old_one() -> None:
    """As in the Kubernetes documentation of `kubectl patch` (patch-demo-ctr-2 before patch-demo-ctr)."""
    before = {"containers": [{"name": "web"}]}
    after = merged(before, {"containers": [{"name": "redis"}]})
    assert [one["name"] for one in after["containers"]] == ["redis", "web"]


def test_the_order_that_kubectl_apply_sends_is_kept() -> None:
    """`$setElementOrder` sorts what it names; what only the server knows keeps its place among them."""
    before = {"env": [A, {"name": "server"}, B]}
    order = {"$setElementOrder/env": [{"name": "C"}, {"name": "B"}, {"name": "A"}]}
    after = merged(before, {**order, "env": [C]})
    assert [one["name"] for one in after["env"]] == ["C", "server", "B", "A"]
    reordered = merged({"env": [A, B]}, {"$setElementOrder/env": [{"name": "B"}, {"name": "A"}]})
    assert reordered == {"env": [B, A]}


@pytest.mark.parametrize(
    ("field", "key"),
    [("volumes", "name"), ("volumeMounts", "mountPath"), ("ports", "containerPort"), ("ports", "port")],
)
def test_each_list_has_its_own_key(field: str, key: str) -> None:
    """Volumes by name, mounts by path, ports by their number on the container or on the Service."""
    before = {field: [{key: 1, "other": "a"}, {key: 2, "other": "b"}]}
    after = merged(before, {field: [{key: 2, "other": "c"}]})
    assert after == {field: [{key: 1, "other": "a"}, {key: 2, "other": "c"}]}


def test_retained_keys_and_sets() -> None:
    """`$retainKeys` drops the other keys; finalizers are a set, from which `$deleteFromPrimitiveList` takes."""
    strategy = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}
    recreate = {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}
    assert merged(strategy, recreate) == {"strategy": {"type": "Recreate"}}
    assert merged({"finalizers": ["a"]}, {"finalizers": ["a", "b"]}) == {"finalizers": ["a", "b"]}
    assert merged({"finalizers": ["a", "b"]}, {"$deleteFromPrimitiveList/finalizers": ["a"]}) == {"finalizers": ["b"]}
