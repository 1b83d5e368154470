"""The `/scale` subresource of Deployments and ReplicaSets (autoscaling/v1 Scale)."""

import copy

from aegis_flows.lab.kube.objects import Object
from aegis_flows.lab.kube.state import selectors

_SHOWN = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def of(workload: Object) -> Object:
    """The workload seen as a Scale."""
    requirements = selectors.of_object(workload["spec"]["selector"])
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {field: workload["metadata"][field] for field in _SHOWN},
        "spec": {"replicas": workload["spec"]["replicas"]},
        "status": {
            "replicas": workload["status"].get("replicas", 0),
            "selector": ",".join(requirement.text() for requirement in requirements),
        },
    }


def applied(workload: Object, scale: Object) -> Object:
    """The workload with the Scale's replicas, and its resourceVersion if it carries one."""
    item = copy.deepcopy(workload)
    item["spec"]["replicas"] = (scale.get("spec") or {}).get("replicas", 0)
    revision = (scale.get("metadata") or {}).get("resourceVersion")
    item["metadata"]["resourceVersion"] = revision or item["metadata"]["resourceVersion"]
    return item
