"""The autoscaler controller: keeps a Deployment's replicas within the bounds. It measures nothing."""

from aegis_flows.lab.kube.objects import Object, namespace, now, with_condition
from aegis_flows.lab.kube.resources import AUTOSCALERS, DEPLOYMENTS
from aegis_flows.lab.kube.state import events
from aegis_flows.lab.kube.state.registry import Registry


class Autoscalers:
    """Moves the replicas of each autoscaler's Deployment to the nearest bound; 0 replicas switch it off."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def reconcile(self) -> None:
        for autoscaler in self._registry.store.all("horizontalpodautoscalers"):
            target = self._target(autoscaler)
            if target is not None:
                self._keep(autoscaler, target)
            else:
                self._report(autoscaler, {"currentReplicas": 0, "desiredReplicas": 0}, _able(found=False))

    def _target(self, autoscaler: Object) -> Object | None:
        reference = autoscaler["spec"]["scaleTargetRef"]
        if reference["kind"] != DEPLOYMENTS.kind:
            return None
        return self._registry.store.find("deployments", namespace(autoscaler), reference["name"])

    def _keep(self, autoscaler: Object, deployment: Object) -> None:
        current = deployment["spec"]["replicas"]
        desired = within(current, autoscaler["spec"]["minReplicas"], autoscaler["spec"]["maxReplicas"])
        numbers: Object = {
            "currentReplicas": deployment["status"].get("replicas", 0),
            "desiredReplicas": desired,
        }
        if desired != current:
            self._registry.edit(DEPLOYMENTS, deployment, lambda item: item["spec"].update(replicas=desired))
            numbers["lastScaleTime"] = now()
            said = f"New size: {desired}; reason: current number of replicas outside of the bounds"
            events.record(self._registry, autoscaler, "SuccessfulRescale", said)
        self._report(autoscaler, numbers, _able(found=True))

    def _report(self, autoscaler: Object, numbers: Object, condition: Object) -> None:
        before = autoscaler["status"]
        conditions = with_condition(before.get("conditions") or [], condition)
        kept = {"lastScaleTime": before["lastScaleTime"]} if "lastScaleTime" in before else {}
        status = {**kept, **numbers, "conditions": conditions}
        self._registry.edit(AUTOSCALERS, autoscaler, lambda item: item.update(status=status))


def within(current: int, smallest: int, largest: int) -> int:
    return min(max(current, smallest), largest) if current else 0


def _able(*, found: bool) -> Object:
    reason, text = ("SucceededGetScale", "the bounds are kept") if found else ("FailedGetScale", "no such Deployment")
    return {"type": "AbleToScale", "status": str(found), "reason": reason, "message": text}
