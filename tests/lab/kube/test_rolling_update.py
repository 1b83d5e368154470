"""Deployments that really restart processes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kubernetes import watch

from tests.lab.kube import standin
from tests.lab.kube.standin import StandIn, answer, wait_until


def pods(cluster: StandIn, space: str) -> list[Any]:
    found: list[Any] = cluster.core.list_namespaced_pod(space, label_selector="app=web").items
    return found


def started(cluster: StandIn, space: str, **more: Any) -> list[Any]:
    """The pods of a new Deployment, all ready."""
    cluster.apps.create_namespaced_deployment(space, standin.deployment(**more))
    wanted = more.get("replicas", 2)
    wait_until(lambda: standin.rolled_out(cluster.apps, space, wanted))
    return pods(cluster, space)


@contextmanager
def traffic(port: int) -> Iterator[list[str | None]]:
    """Requests without a pause, each over a new connection; None is a failed one."""
    answers: list[str | None] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            answers.append(answer(port))

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        yield answers
    finally:
        done.set()
        asker.join()


def test_a_patched_environment_replaces_every_process_without_a_gap(cluster: StandIn, space: str) -> None:
    """Old processes end, new ones have the new value and keep the others, and no request fails meanwhile."""
    port = standin.free_port()
    cluster.core.create_namespaced_service(space, standin.service(port))
    before = started(cluster, space)
    revision = cluster.apps.list_namespaced_deployment(space).metadata.resource_version
    with traffic(port) as answers:
        cluster.apps.patch_namespaced_deployment("web", space, standin.env_patch(GREETING="bye"))
        wait_until(lambda: standin.rolled_out(cluster.apps, space))
        wait_until(lambda: not any(standin.sessions(standin.pod_pid(pod)) for pod in before))
        answers_after = len(answers)
        wait_until(lambda: len(answers) > answers_after + 2)
    after = pods(cluster, space)
    assert None not in answers
    assert {text.split(" ", 1)[1] for text in answers[answers_after + 1 :] if text} == {"bye kept"}
    assert {pod.metadata.name for pod in after}.isdisjoint(pod.metadata.name for pod in before)
    assert min(ready_counts(cluster, space, revision)) >= 2


def ready_counts(cluster: StandIn, space: str, revision: str) -> list[int]:
    """How many pods were ready at each change of the Deployment since a revision."""
    options = {"resource_version": revision, "timeout_seconds": 1}
    events = watch.Watch().stream(cluster.apps.list_namespaced_deployment, space, **options)
    return [event["object"].status.ready_replicas or 0 for event in events]


def test_a_template_that_never_gets_ready_leaves_the_old_pods_serving(cluster: StandIn, space: str) -> None:
    """The rollout stops at one broken pod, says so after its deadline, and an undo needs no new start of the old."""
    before = {pod.metadata.name for pod in started(cluster, space, progressDeadlineSeconds=1)}
    crash = {"spec": {"template": {"spec": {"containers": [{"name": "web", "command": ["python", "-c", "1/0"]}]}}}}
    old = cluster.apps.read_namespaced_deployment("web", space).spec.template.spec.containers[0].command
    cluster.apps.patch_namespaced_deployment("web", space, crash)
    wait_until(lambda: progress(cluster, space) == ("False", "ProgressDeadlineExceeded"))
    ready = {pod.metadata.name for pod in pods(cluster, space) if pod.status.container_statuses[0].ready}
    assert ready == before
    crash["spec"]["template"]["spec"]["containers"][0]["command"] = old
    cluster.apps.patch_namespaced_deployment("web", space, crash)
    wait_until(lambda: standin.rolled_out(cluster.apps, space))
    alive = {pod.metadata.name for pod in pods(cluster, space) if not pod.metadata.deletion_timestamp}
    assert alive == before
    assert progress(cluster, space) == ("True", "NewReplicaSetAvailable")


def progress(cluster: StandIn, space: str) -> tuple[str, str]:
    conditions = cluster.apps.read_namespaced_deployment("web", space).status.conditions
    [found] = [condition for condition in conditions if condition.type == "Progressing"]
    return found.status, found.reason


def test_recreate_ends_every_old_process_before_a_new_one_starts(cluster: StandIn, space: str) -> None:
    """With the strategy Recreate old and new never run side by side."""
    [before] = started(cluster, space, replicas=1, strategy={"type": "Recreate"})
    cluster.apps.patch_namespaced_deployment("web", space, standin.env_patch(GREETING="bye"))
    wait_until(lambda: standin.rolled_out(cluster.apps, space, 1) and not standin.sessions(standin.pod_pid(before)))
    events = cluster.core.list_namespaced_event(space).items
    order = sorted((int(event.metadata.resource_version), event.reason) for event in events)
    reasons = [reason for _, reason in order if reason in ("Started", "Killing")]
    assert reasons == ["Started", "Killing", "Started"]


def test_replicas_stay_within_the_autoscalers_bounds(cluster: StandIn, space: str) -> None:
    """Scaling beyond a bound is taken back to it; raising the minimum starts pods; the autoscaler's status says so."""
    started(cluster, space, replicas=1)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    body = {"metadata": {"name": "web"}, "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 2}}
    cluster.autoscaling.create_namespaced_horizontal_pod_autoscaler(space, body)
    cluster.apps.patch_namespaced_deployment_scale("web", space, {"spec": {"replicas": 5}})
    wait_until(lambda: standin.rolled_out(cluster.apps, space, 2))
    bounds = {"spec": {"minReplicas": 3, "maxReplicas": 3}}
    cluster.autoscaling.patch_namespaced_horizontal_pod_autoscaler("web", space, bounds)
    wait_until(lambda: standin.rolled_out(cluster.apps, space, 3))
    read = cluster.autoscaling.read_namespaced_horizontal_pod_autoscaler
    wait_until(lambda: read("web", space).status.current_replicas == 3)
    assert read("web", space).status.desired_replicas == 3


def test_pods_go_with_their_deployment(cluster: StandIn, space: str) -> None:
    """Deleting a Deployment deletes its replica sets and ends its processes; deleting a pod alone brings another."""
    [first] = started(cluster, space, replicas=1)
    cluster.core.delete_namespaced_pod(first.metadata.name, space)
    wait_until(lambda: not standin.sessions(standin.pod_pid(first)))
    wait_until(lambda: standin.rolled_out(cluster.apps, space, 1))
    [second] = [pod for pod in pods(cluster, space) if not pod.metadata.deletion_timestamp]
    assert second.metadata.uid != first.metadata.uid
    cluster.apps.delete_namespaced_deployment("web", space)
    wait_until(lambda: not pods(cluster, space))
    assert cluster.apps.list_namespaced_replica_set(space).items == []
    assert standin.sessions(standin.pod_pid(second)) == []
