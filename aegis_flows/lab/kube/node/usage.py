"""What pods use, from /proc: the metrics.k8s.io behind `kubectl top pods`."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from aegis_flows.lab.kube.objects import Object, labels, name, namespace, now
from aegis_flows.lab.kube.resources import POD_METRICS

_WINDOW = 0.5  # seconds between the two readings that give a rate
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
CONTAINER_SCHEME = "process://"


async def measured(pods: Sequence[Object]) -> list[Object]:
    """PodMetrics for each pod; a pod without a process uses nothing."""
    before = [_cpu_seconds(_process(pod)) for pod in pods]
    await asyncio.sleep(_WINDOW)
    return [
        _metrics(pod, max(0.0, _cpu_seconds(_process(pod)) - start)) for pod, start in zip(pods, before, strict=True)
    ]


def _metrics(pod: Object, cpu_seconds: float) -> Object:
    cores = f"{round(cpu_seconds / _WINDOW * 1e9)}n"
    usage = {"cpu": cores, "memory": f"{_memory(_process(pod)) // 1024}Ki"}
    return {
        "kind": POD_METRICS.kind,
        "apiVersion": POD_METRICS.api_version,
        "metadata": {"name": name(pod), "namespace": namespace(pod), "labels": labels(pod)},
        "timestamp": now(),
        "window": f"{_WINDOW}s",
        "containers": [{"name": pod["spec"]["containers"][0]["name"], "usage": usage}],
    }


def _process(pod: Object) -> Path:
    status = (pod["status"].get("containerStatuses") or [{}])[0]
    return Path("/proc", str(status.get("containerID", "")).removeprefix(CONTAINER_SCHEME) or "none")


def _cpu_seconds(process: Path) -> float:
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK  # utime and stime: fields 14 and 15 of proc(5)


def _memory(process: Path) -> int:
    """Resident bytes."""
    try:
        return int((process / "statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0
