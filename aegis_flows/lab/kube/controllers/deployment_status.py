"""What a Deployment's status says, from the counts of its pods. Pure but for the clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from aegis_flows.lab.kube.objects import Object, moment, name, now, with_condition

_COMPLETE = "NewReplicaSetAvailable"


@dataclass(frozen=True)
class Counts:
    """Pods of a Deployment that are not ending: all, those of its current template, those that are ready."""

    replicas: int
    updated: int
    ready: int


def status(deployment: Object, counts: Counts, least: int, new: Object | None) -> Object:
    """The status for these counts; `least` pods must be ready for the Deployment to be Available."""
    conditions = deployment["status"].get("conditions") or []
    conditions = with_condition(conditions, _available(deployment, counts, least))
    progressing = _progressing(deployment, counts, new)
    if progressing:
        conditions = with_condition(conditions, progressing)
    return {
        "observedGeneration": deployment["metadata"]["generation"],
        **_numbers(deployment, counts),
        "conditions": conditions,
    }


def seconds_to_deadline(deployment: Object) -> float | None:
    """How long a rollout under way may still go without progress; None when none is under way."""
    condition = _condition(deployment, "Progressing")
    if condition is None or condition["status"] != "True" or condition["reason"] == _COMPLETE:
        return None
    waited = (datetime.now(UTC) - moment(condition["lastUpdateTime"])).total_seconds()
    return max(0.0, float(deployment["spec"]["progressDeadlineSeconds"]) - waited)


def _numbers(deployment: Object, counts: Counts) -> Mapping[str, int]:
    """As in the real API, zeros are left out."""
    found = {
        "replicas": counts.replicas,
        "updatedReplicas": counts.updated,
        "readyReplicas": counts.ready,
        "availableReplicas": counts.ready,
        "unavailableReplicas": max(0, deployment["spec"]["replicas"] - counts.ready),
    }
    return {key: value for key, value in found.items() if value}


def _available(deployment: Object, counts: Counts, least: int) -> Object:
    enough = counts.ready >= least
    text = "has minimum availability" if enough else "does not have minimum availability"
    reason = "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable"
    return _updated(deployment, "Available", enough, reason, f"Deployment {text}.")


def _progressing(deployment: Object, counts: Counts, new: Object | None) -> Object | None:
    """The new condition, or None where the old one stays."""
    if deployment["spec"].get("paused"):
        return _updated(deployment, "Progressing", None, "DeploymentPaused", "Deployment is paused")
    before = _condition(deployment, "Progressing")
    called = name(new) if new else ""
    if _complete(deployment, counts):
        text = f'ReplicaSet "{called}" has successfully progressed.'
        return _updated(deployment, "Progressing", True, _COMPLETE, text)
    started = before is None or before["reason"] == "DeploymentPaused" or f'"{called}"' not in before["message"]
    if started or _progressed(deployment["status"], counts, before):
        text = f'ReplicaSet "{called}" is progressing.'
        fresh = _updated(deployment, "Progressing", True, "ReplicaSetUpdated", text)
        return fresh | {"lastUpdateTime": now()}
    if seconds_to_deadline(deployment) == 0.0:
        text = f'ReplicaSet "{called}" has timed out progressing.'
        return _updated(deployment, "Progressing", False, "ProgressDeadlineExceeded", text)
    return None


def _complete(deployment: Object, counts: Counts) -> bool:
    desired = deployment["spec"]["replicas"]
    return counts == Counts(desired, desired, desired)


def _progressed(before: Object, counts: Counts, condition: Object | None) -> bool:
    """Whether more new pods, fewer old ones or more ready ones are there than at the last look."""
    if condition and condition["reason"] == _COMPLETE:
        return False  # the rollout is over: pods that come and go later are no part of it
    seen = Counts(*(int(before.get(field, 0)) for field in ("replicas", "updatedReplicas", "readyReplicas")))
    fewer_old = counts.replicas - counts.updated < seen.replicas - seen.updated
    return fewer_old or counts.updated > seen.updated or counts.ready > seen.ready


def _condition(deployment: Object, kind: str) -> Object | None:
    return next((one for one in deployment["status"].get("conditions") or [] if one["type"] == kind), None)


def _updated(deployment: Object, kind: str, holds: bool | None, reason: str, message: str) -> Object:
    """A condition whose lastUpdateTime stays while it says the same."""
    new = {"type": kind, "status": "Unknown" if holds is None else str(holds), "reason": reason, "message": message}
    before = _condition(deployment, kind)
    same = before is not None and all(before[field] == value for field, value in new.items())
    return new | {"lastUpdateTime": before["lastUpdateTime"] if before and same else now()}
