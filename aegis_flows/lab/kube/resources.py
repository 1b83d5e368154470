"""The kinds that the stand-in serves, and which of them a URL path means."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Resource:
    """One kind; `group` is empty for the core API."""

    group: str
    version: str
    plural: str
    kind: str
    short: tuple[str, ...] = ()
    namespaced: bool = True
    subresources: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """The name in error sentences, like `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def has_status(self) -> bool:
        return "status" in self.subresources


NAMESPACES = Resource("", "v1", "namespaces", "Namespace", ("ns",), namespaced=False, subresources=("status",))
PODS = Resource("", "v1", "pods", "Pod", ("po",), subresources=("log", "status"), categories=("all",))
SERVICES = Resource("", "v1", "services", "Service", ("svc",), subresources=("status",), categories=("all",))
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", ("cm",))
SECRETS = Resource("", "v1", "secrets", "Secret")
EVENTS = Resource("", "v1", "events", "Event", ("ev",))
DEPLOYMENTS = Resource(
    "apps", "v1", "deployments", "Deployment", ("deploy",), subresources=("scale", "status"), categories=("all",)
)
REPLICA_SETS = Resource(
    "apps", "v1", "replicasets", "ReplicaSet", ("rs",), subresources=("scale", "status"), categories=("all",)
)
AUTOSCALERS = Resource(
    "autoscaling",
    "v2",
    "horizontalpodautoscalers",
    "HorizontalPodAutoscaler",
    ("hpa",),
    subresources=("status",),
    categories=("all",),
)
POD_METRICS = Resource("metrics.k8s.io", "v1beta1", "pods", "PodMetrics")  # measured when asked for, never stored

ALL = (
    NAMESPACES,
    PODS,
    SERVICES,
    CONFIG_MAPS,
    SECRETS,
    EVENTS,
    DEPLOYMENTS,
    REPLICA_SETS,
    AUTOSCALERS,
)
SERVED = (*ALL, POD_METRICS)
GROUPS = tuple(sorted({(resource.group, resource.version) for resource in SERVED if resource.group}))


@dataclass(frozen=True)
class Target:
    """What a path means; an empty name is the collection, an empty namespace all of them."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def target(path: str) -> Target | None:
    """The target of `/api/v1/…` or `/apis/<group>/<version>/…`; None when nothing is served there."""
    match path.strip("/").split("/"):
        case ["api", version, *rest] if rest:
            return _target("", version, rest)
        case ["apis", group, version, *rest] if rest:
            return _target(group, version, rest)
    return None


def _target(group: str, version: str, rest: list[str]) -> Target | None:
    namespace = ""
    match rest:
        case ["namespaces", inside, plural, *tail] if plural not in NAMESPACES.subresources:
            namespace, rest = inside, [plural, *tail]
    plural, name, subresource, *more = [*rest, "", "", ""][: max(3, len(rest))]
    resource = next((one for one in SERVED if (one.group, one.version, one.plural) == (group, version, plural)), None)
    if resource is None or more or (namespace and not resource.namespaced):
        return None
    if (subresource and subresource not in resource.subresources) or (name and resource.namespaced and not namespace):
        return None
    return Target(resource, namespace, name, subresource)
