"""The commands of the runbook, by the real kubectl."""

import json
from typing import Any

import pytest
import yaml

from tests.lab.kube import standin
from tests.lab.kube.standin import StandIn, answer, wait_until

pytestmark = pytest.mark.usefixtures("kubectl")


def applied(cluster: StandIn, space: str, spec: dict[str, Any] | None = None, /, **more: Any) -> str:
    manifest = yaml.safe_dump(standin.deployment(spec, **more))
    return cluster.kubectl("-n", space, "apply", "-f", "-", stdin=manifest)


def environment(cluster: StandIn, space: str) -> dict[str, str]:
    path = "-o=jsonpath={.spec.template.spec.containers[0].env}"
    return {one["name"]: one["value"] for one in json.loads(cluster.kubectl("-n", space, "get", "deploy/web", path))}


def test_apply_is_created_then_unchanged_then_configured(cluster: StandIn, space: str) -> None:
    """Client-side apply patches what the manifest changed, and takes away what it no longer has."""
    assert "deployment.apps/web created" in applied(cluster, space, replicas=0)
    assert "deployment.apps/web unchanged" in applied(cluster, space, replicas=0)
    spec = standin.pod_spec(env=[{"name": "GREETING", "value": "bye"}])
    assert "deployment.apps/web configured" in applied(cluster, space, spec, replicas=0)
    assert environment(cluster, space) == {"GREETING": "bye"}


def test_set_env_rolls_out_and_undo_rolls_back(cluster: StandIn, space: str) -> None:
    """Rollout status ends when the new pods serve; history numbers the revisions; undo restores the old values."""
    port = standin.free_port()
    cluster.core.create_namespaced_service(space, standin.service(port))
    applied(cluster, space)
    status = ("-n", space, "rollout", "status", "deploy/web", "--timeout=15s")
    assert "successfully rolled out" in cluster.kubectl(*status)
    cluster.kubectl("-n", space, "set", "env", "deploy/web", "GREETING=bye", "OTHER-")
    assert "successfully rolled out" in cluster.kubectl(*status)
    assert (answer(port) or "").endswith(" bye None")
    cluster.kubectl("-n", space, "rollout", "undo", "deploy/web")
    assert "successfully rolled out" in cluster.kubectl(*status)
    assert (answer(port) or "").endswith(" hello kept")
    history = cluster.kubectl("-n", space, "rollout", "history", "deploy/web").split()
    assert [word for word in history if word.isdigit()] == ["2", "3"]
    sets = cluster.apps.list_namespaced_replica_set(space).items
    assert sorted(one.spec.replicas for one in sets) == [0, 2]


def test_restart_scale_logs_and_delete(cluster: StandIn, space: str) -> None:
    """The everyday commands, one after another, on one Deployment."""
    applied(cluster, space, replicas=1)
    status = ("-n", space, "rollout", "status", "deploy/web", "--timeout=15s")
    cluster.kubectl(*status)
    [first] = cluster.core.list_namespaced_pod(space).items
    cluster.kubectl("-n", space, "rollout", "restart", "deploy/web")
    cluster.kubectl(*status)
    cluster.kubectl("-n", space, "scale", "deploy/web", "--replicas=2", "--current-replicas=1")
    cluster.kubectl(*status)
    wait_until(lambda: not standin.sessions(standin.pod_pid(first)))
    assert "serving hello" in cluster.kubectl("-n", space, "logs", "-l", "app=web", "--tail=5", "--prefix")
    assert "deleted" in cluster.kubectl("-n", space, "delete", "deploy", "web", "--timeout=10s")
    wait_until(lambda: not cluster.core.list_namespaced_pod(space).items)


def test_get_shows_columns_and_describe_shows_events(cluster: StandIn, space: str) -> None:
    """What a person on call reads: readiness and restarts at a glance, then the story."""
    applied(cluster, space, replicas=1)
    wait_until(lambda: standin.rolled_out(cluster.apps, space, 1))
    header, row = cluster.kubectl("-n", space, "get", "pods").splitlines()
    assert header.split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert row.split()[1:4] == ["1/1", "Running", "0"]
    described = cluster.kubectl("-n", space, "describe", "deploy", "web")
    assert "Scaled up replica set" in described
    assert "NewReplicaSetAvailable" in described
    assert "Started container web" in cluster.kubectl("-n", space, "describe", "pods")
    assert "deployment.apps/web" in cluster.kubectl("-n", space, "get", "all", "-o", "name")


def test_top_shows_what_a_process_uses(cluster: StandIn, space: str) -> None:
    """A pod that computes without a pause uses about one core."""
    spec = standin.pod_spec("python", "-c", "while True: pass")
    del spec["containers"][0]["readinessProbe"]
    cluster.apps.create_namespaced_deployment(space, standin.deployment(spec, replicas=1))
    wait_until(lambda: standin.rolled_out(cluster.apps, space, 1))
    _, cpu, memory = cluster.kubectl("-n", space, "top", "pods", "--no-headers").split()
    assert int(cpu.removesuffix("m")) > 200
    assert int(memory.removesuffix("Mi")) >= 1


def test_mistakes_are_refused_in_kubectls_own_words(cluster: StandIn, space: str) -> None:
    """Not found, conflict with a precondition, and an unknown kind."""
    assert 'deployments.apps "gone" not found' in cluster.kubectl("-n", space, "get", "deploy", "gone", code=1)
    applied(cluster, space, replicas=0)
    scale = ("-n", space, "scale", "deploy/web", "--replicas=2", "--current-replicas=1")
    assert "Expected replicas to be 1, was 0" in cluster.kubectl(*scale, code=1)
    assert "the server doesn't have a resource type" in cluster.kubectl("-n", space, "get", "ingresses", code=1)
