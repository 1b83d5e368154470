"""Pods: processes with an environment, an output, a readiness and an end."""

import re
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiException

from tests.lab.kube import standin
from tests.lab.kube.standin import StandIn, answer, pod_spec, wait_until


def run(cluster: StandIn, space: str, spec: dict[str, Any]) -> None:
    cluster.core.create_namespaced_pod(space, {"metadata": {"name": "one", "labels": {"app": "web"}}, "spec": spec})


def pod(cluster: StandIn, space: str) -> Any:
    return cluster.core.read_namespaced_pod("one", space)


def container(cluster: StandIn, space: str) -> Any:
    return (pod(cluster, space).status.container_statuses or [None])[0]


def ready(cluster: StandIn, space: str) -> bool:
    found = container(cluster, space)
    return bool(found and found.ready)


def logs(cluster: StandIn, space: str, **options: Any) -> str:
    # without preloading: the client would hand back the text of a bytes literal
    response = cluster.core.read_namespaced_pod_log("one", space, _preload_content=False, **options)
    text: str = response.data.decode()
    return text


def test_a_pod_listens_where_its_annotation_says(cluster: StandIn, space: str) -> None:
    """PodIP and `prometheus.io/port` are the address that Prometheus finds; the spec keeps its own port."""
    run(cluster, space, pod_spec())
    wait_until(lambda: ready(cluster, space))
    found = pod(cluster, space)
    assert answer(int(found.metadata.annotations["prometheus.io/port"])) == "one hello kept"
    assert (found.status.pod_ip, found.status.phase, found.spec.node_name) == ("127.0.0.1", "Running", "lab")
    assert found.spec.containers[0].ports[0].container_port == 8080


def test_a_crashing_container_is_started_again_and_counted(cluster: StandIn, space: str) -> None:
    """RestartCount grows, the wait is CrashLoopBackOff with the last exit code, and the last output can be read."""
    run(cluster, space, pod_spec("sh", "-c", "echo about to fail; exit 3"))
    wait_until(lambda: (found := container(cluster, space)) and found.restart_count >= 2 and found.state.waiting)
    found = container(cluster, space)
    assert (found.state.waiting.reason, found.last_state.terminated.exit_code) == ("CrashLoopBackOff", 3)
    assert (found.ready, logs(cluster, space, previous=True)) == (False, "about to fail\n")


def test_a_container_that_cannot_start_says_why(cluster: StandIn, space: str) -> None:
    """No such program, or a ConfigMap that is not there: the reason stands in the pod's status."""
    run(cluster, space, pod_spec("no-such-program"))
    wait_until(lambda: container(cluster, space))
    waiting = container(cluster, space).state.waiting
    assert (waiting.reason, "no-such-program" in waiting.message) == ("RunContainerError", True)


def test_values_come_from_config_maps_secrets_and_fields(cluster: StandIn, space: str) -> None:
    """ValueFrom is looked up at the start; what is missing is waited for, with a reason."""
    sources = {
        "GREETING": {"configMapKeyRef": {"name": "words", "key": "greeting"}},
        "OTHER": {"secretKeyRef": {"name": "words", "key": "other"}},
        "POD_NAME": {"fieldRef": {"fieldPath": "metadata.uid"}},
    }
    run(cluster, space, pod_spec(env=[{"name": name, "valueFrom": source} for name, source in sources.items()]))
    wait_until(lambda: container(cluster, space))
    assert container(cluster, space).state.waiting.reason == "CreateContainerConfigError"
    meta = {"metadata": {"name": "words"}}
    cluster.core.create_namespaced_config_map(space, {**meta, "data": {"greeting": "from-map"}})
    cluster.core.create_namespaced_secret(space, {**meta, "stringData": {"other": "from-secret"}})
    wait_until(lambda: ready(cluster, space))
    port = pod(cluster, space).metadata.annotations["prometheus.io/port"]
    assert answer(int(port)) == "one from-map from-secret"  # the kubelet's own POD_NAME stands


def test_a_log_can_be_asked_for_in_part(cluster: StandIn, space: str) -> None:
    """tailLines, sinceSeconds and timestamps, over output that was written before and after a pause."""
    lines = "print('first'); time.sleep(2.2); print('second'); print('third'); time.sleep(60)"
    run(cluster, space, pod_spec("python", "-c", f"import time; {lines}"))
    wait_until(lambda: "third" in logs(cluster, space) if container(cluster, space) else False)
    assert logs(cluster, space) == "first\nsecond\nthird\n"
    assert logs(cluster, space, tail_lines=1) == "third\n"
    assert logs(cluster, space, since_seconds=2) == "second\nthird\n"
    stamped = logs(cluster, space, tail_lines=1, timestamps=True)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z third\n", stamped)
    with pytest.raises(ApiException) as raised:
        logs(cluster, space, container="other")
    assert raised.value.status == 400


def test_readiness_follows_the_probe(cluster: StandIn, space: str, tmp_path: Path) -> None:
    """A running process whose probe fails is taken out of service, and comes back without a restart."""
    broken = tmp_path / "broken"
    probe = {"httpGet": {"path": "/health", "port": 8080}, "failureThreshold": 1}
    run(cluster, space, pod_spec(env=[{"name": "BROKEN_FILE", "value": str(broken)}], readinessProbe=probe))
    wait_until(lambda: ready(cluster, space))
    broken.touch()
    wait_until(lambda: not ready(cluster, space))
    broken.unlink()
    wait_until(lambda: ready(cluster, space))
    assert container(cluster, space).restart_count == 0


def test_a_process_that_ignores_sigterm_is_killed_after_its_grace(cluster: StandIn, space: str) -> None:
    """The pod stays, terminating, for its grace; then the whole session is gone, and the pod with it."""
    spec = pod_spec("sh", "-c", "trap '' TERM; sleep 60 & while true; do sleep 0.1; done")
    spec["containers"][0].pop("readinessProbe")
    run(cluster, space, spec | {"terminationGracePeriodSeconds": 1})
    wait_until(lambda: ready(cluster, space))
    session = standin.pod_pid(pod(cluster, space))
    deleted = cluster.core.delete_namespaced_pod("one", space)
    assert deleted.metadata.deletion_grace_period_seconds == 1
    assert pod(cluster, space).metadata.deletion_timestamp
    wait_until(lambda: not cluster.core.list_namespaced_pod(space).items)
    assert standin.sessions(session) == []


def test_a_pod_that_shall_not_restart_keeps_its_end(cluster: StandIn, space: str) -> None:
    """With restartPolicy Never the phase is Succeeded or Failed by the exit code."""
    run(cluster, space, pod_spec("sh", "-c", "exit 4") | {"restartPolicy": "Never"})
    wait_until(lambda: pod(cluster, space).status.phase == "Failed")
    assert container(cluster, space).state.terminated.exit_code == 4
