"""Kubernetes: the service's Deployment, its pods and their logs."""

from http import HTTPStatus
from typing import Any

from aegis_flows.errors import BadInput
from aegis_flows.operation import Operation, command, compact, operation
from tasks.kinds import action, probe


@probe("env {name} of {deployment}")
@operation
def env(namespace: str, deployment: str, name: str) -> Operation[str | None]:
    """The value of an environment variable of the container named like its Deployment, None where it is not set."""
    container = f"containers[?(@.name=={compact(deployment)})]"
    path = f"{{.spec.template.spec.{container}.env[?(@.name=={compact(name)})].value}}"
    return Operation(
        shell=command("kubectl", "-n", namespace, "get", f"deployment/{deployment}", "-o", f"jsonpath={path}"),
        run=lambda c: _env_of(c.apps.read_namespaced_deployment(deployment, namespace), deployment, name),
    )


@action("set {name} on {deployment}")
@operation
def set_env(namespace: str, deployment: str, name: str, value: str | None) -> Operation[None]:
    """Set an environment variable (None takes it away); returns before any pod has restarted."""
    entry: dict[str, str] = {"name": name, "$patch": "delete"} if value is None else {"name": name, "value": value}
    container = {"name": deployment, "env": [entry]}
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    return Operation(
        kind="write",
        shell=command(
            "kubectl", "-n", namespace, "patch", f"deployment/{deployment}", "--type=strategic", "-p", compact(patch)
        ),
        run=lambda c: (
            c.apps.patch_namespaced_deployment(
                deployment, namespace, patch, _content_type="application/strategic-merge-patch+json"
            )
            and None
        ),
    )


@probe("is the rollout of {deployment} done?")
@operation
def rolled_out(namespace: str, deployment: str) -> Operation[bool]:
    """Whether every replica runs the newest template and is available, and every old pod has ended.

    A pod that ends may still spill what it holds, so "replaced" is not enough.
    """
    selector = f"app={deployment}"
    status = command("kubectl", "-n", namespace, "rollout", "status", f"deployment/{deployment}", "--watch=false")
    return Operation(
        shell=f"{status} && {command('kubectl', '-n', namespace, 'get', 'pods', '-l', selector)}",
        run=lambda c: (
            _rolled_out(c.apps.read_namespaced_deployment(deployment, namespace))
            and not any(
                pod.metadata.deletion_timestamp
                for pod in c.core.list_namespaced_pod(namespace, label_selector=selector).items
            )
        ),
    )


@probe("audit writer logs")
@operation
def logs(namespace: str, deployment: str, containing: str, tail: int = 400) -> Operation[list[str]]:
    """The lines of the pods' logs (the last `tail` of each) that contain a text, oldest pod first."""
    quoted = command("grep", "-F", containing)
    selector = f"app={deployment}"
    return Operation(
        shell=f"{command('kubectl', '-n', namespace, 'logs', '-l', selector, f'--tail={tail}')} | {quoted}",
        run=lambda c: [
            line
            for pod in c.core.list_namespaced_pod(namespace, label_selector=selector).items
            for line in _log(c.core, pod.metadata.name, namespace, tail).splitlines()
            if containing in line
        ],
    )


def _env_of(deployment: Any, container: str, name: str) -> str | None:
    containers = [c for c in deployment.spec.template.spec.containers if c.name == container]
    if not containers:
        raise BadInput(f"Deployment {container} has no container of that name.", advice="Set AEGIS_DEPLOYMENT.")
    return next((e.value for e in containers[0].env or [] if e.name == name), None)


def _rolled_out(deployment: Any) -> bool:
    status, wanted = deployment.status, deployment.spec.replicas
    return bool(
        status.observed_generation == deployment.metadata.generation
        and status.updated_replicas == status.available_replicas == status.replicas == wanted
    )


def _log(core: Any, pod: str, namespace: str, tail: int) -> str:
    from kubernetes.client import ApiException

    try:
        # client 36 answers str(bytes) unless it is told not to read the content itself
        answer = core.read_namespaced_pod_log(pod, namespace, tail_lines=tail, _preload_content=False)
    except ApiException as error:
        if error.status in (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST):
            return ""  # gone since it was listed, or its container has not started yet
        raise
    return str(answer.data.decode(errors="replace"))
