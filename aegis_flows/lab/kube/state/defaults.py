"""The values that kube-apiserver fills in where a manifest is silent, as far as the stand-in acts on them."""

import base64
from collections.abc import Callable

from aegis_flows.lab.kube.objects import Object
from aegis_flows.lab.kube.resources import Resource

NODE = "lab"


def fill(resource: Resource, item: Object) -> None:
    """Fill the object's gaps in place."""
    filler = _FILLERS.get(resource.plural)
    if filler:
        filler(item)


def _deployment(item: Object) -> None:
    spec = item.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxSurge", "25%")
        rolling.setdefault("maxUnavailable", "25%")
    _pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


def _replica_set(item: Object) -> None:
    spec = item.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    _pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


def _pod(item: Object) -> None:
    spec = item.setdefault("spec", {})
    _pod_spec(spec)
    spec.setdefault("nodeName", NODE)  # there is one node, so scheduling needs no scheduler


def _pod_spec(spec: Object) -> None:
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    for container in spec.get("containers") or []:
        for port in container.get("ports") or []:
            port.setdefault("protocol", "TCP")
        http = (container.get("readinessProbe") or {}).get("httpGet")
        if http is not None:
            http.setdefault("path", "/")
            http.setdefault("scheme", "HTTP")
            probe = container["readinessProbe"]
            probe.setdefault("timeoutSeconds", 1)
            probe.setdefault("successThreshold", 1)
            probe.setdefault("failureThreshold", 3)


def _service(item: Object) -> None:
    spec = item.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    for port in spec.get("ports") or []:
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))


def _secret(item: Object) -> None:
    item.setdefault("type", "Opaque")
    for key, text in (item.pop("stringData", None) or {}).items():
        item.setdefault("data", {})[key] = base64.b64encode(text.encode()).decode()


def _autoscaler(item: Object) -> None:
    item.setdefault("spec", {}).setdefault("minReplicas", 1)


_FILLERS: dict[str, Callable[[Object], None]] = {
    "deployments": _deployment,
    "replicasets": _replica_set,
    "pods": _pod,
    "services": _service,
    "secrets": _secret,
    "horizontalpodautoscalers": _autoscaler,
}
