"""Gives every pod a runner, and takes it away when the pod is deleted."""

import asyncio
import functools
import logging
from pathlib import Path

from aegis_flows.lab.kube.node.pod_runner import PodRunner
from aegis_flows.lab.kube.node.reaper import Reaper
from aegis_flows.lab.kube.objects import deleting, finished, uid
from aegis_flows.lab.kube.state.registry import Registry

_LAST_GRACE = 3.0  # seconds; when the lab stops, pods get no more than this

log = logging.getLogger(__name__)


class Kubelet:
    """The node: all pods run here."""

    def __init__(self, registry: Registry, folder: Path) -> None:
        self._registry = registry
        self._folder = folder
        self._reaper = Reaper()
        self._runners: dict[str, tuple[PodRunner, asyncio.Task[None]]] = {}
        self._stopping = False

    def reconcile(self) -> None:
        pods = {uid(pod): pod for pod in self._registry.store.all("pods")}
        for key, pod in pods.items():
            if key not in self._runners and not finished(pod) and not self._stopping:
                runner = PodRunner(self._registry, pod, self._folder, self._reaper)
                self._runners[key] = runner, asyncio.create_task(runner.run())
                self._runners[key][1].add_done_callback(functools.partial(self._forget, key))
            if key in self._runners and deleting(pod):
                self._runners[key][0].end(pod["metadata"]["deletionGracePeriodSeconds"])
        for key in self._runners.keys() - pods.keys():
            self._runners[key][0].end(0)

    async def stop(self) -> None:
        """End every pod, side by side."""
        self._stopping = True
        pods = {uid(pod): pod for pod in self._registry.store.all("pods")}
        running = dict(self._runners)
        for key, (runner, _) in running.items():
            asked = pods[key]["spec"]["terminationGracePeriodSeconds"] if key in pods else 0
            runner.end(min(asked, _LAST_GRACE))
        await asyncio.gather(*(task for _, task in running.values()), return_exceptions=True)
        self._reaper.close()

    def _forget(self, key: str, task: asyncio.Task[None]) -> None:
        del self._runners[key]
        if not task.cancelled() and task.exception():
            log.error("pod %s: the kubelet failed", key, exc_info=task.exception())
