"""The life of one pod: start, probe, start again when it exits, end when it is deleted."""

import asyncio
import contextlib
import logging
from dataclasses import replace
from pathlib import Path

from aegis_flows.lab.kube.network import ports
from aegis_flows.lab.kube.node import container, environment, logs, pod_status, probes
from aegis_flows.lab.kube.node.container import Container
from aegis_flows.lab.kube.node.pod_status import Seen
from aegis_flows.lab.kube.node.reaper import Reaper
from aegis_flows.lab.kube.objects import PORT_ANNOTATION, Object, annotations, name
from aegis_flows.lab.kube.resources import PODS
from aegis_flows.lab.kube.state import events
from aegis_flows.lab.kube.state.registry import Registry

# A kubelet's back-off is 10 s, doubled to 300 s, forgotten after 600 s: the lab's time scale divides by 30.
_BACK_OFF_FIRST, _BACK_OFF_MOST, _BACK_OFF_FORGOTTEN = 10 / 30, 300 / 30, 600 / 30

log = logging.getLogger(__name__)


def back_off(failures: int) -> float:
    """Seconds before the start after the nth failure in a row, counted from 1."""
    return float(min(_BACK_OFF_FIRST * 2 ** (failures - 1), _BACK_OFF_MOST))


class PodRunner:
    """Runs one pod until `end` is called; writes what it sees into the pod's status."""

    def __init__(self, registry: Registry, pod: Object, folder: Path, reaper: Reaper) -> None:
        self._registry = registry
        self._pod = pod
        self._folder = folder
        self._reaper = reaper
        self._ending = asyncio.Event()
        self._hurry = asyncio.Event()
        self._grace = 0.0
        self._port = 0
        self._seen = Seen(pod_status.waiting("ContainerCreating", ""), phase="Pending")

    def end(self, grace: float) -> None:
        """End the pod: SIGTERM, and SIGKILL after the grace (seconds); a second call with 0 does not wait."""
        if grace == 0:
            self._hurry.set()
        if not self._ending.is_set():
            self._grace = grace
            self._ending.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while not self._ending.is_set():
            started = loop.time()
            code = await self._attempt()
            if self._ending.is_set() or await self._finished(code):
                break
            failures = 1 if loop.time() - started > _BACK_OFF_FORGOTTEN else failures + 1
            await self._wait_before_restart(failures)
        self._registry.store.drop("pods", self._pod)

    async def _attempt(self) -> int | None:
        """The exit code of one start; None if there was none, or if the pod was ended."""
        try:
            process = await self._start()
        except (OSError, environment.ConfigurationError) as error:
            known = isinstance(error, environment.ConfigurationError)
            self._see(
                state=pod_status.waiting("CreateContainerConfigError" if known else "RunContainerError", str(error))
            )
            events.record(self._registry, self._pod, "Failed", f"Error: {error}", events.WARNING)
            return None
        probed = self._container.get("readinessProbe") or {}
        self._see(state=pod_status.running(process.started_at), phase="Running", pid=process.pid, ready=not probed)
        probing = asyncio.create_task(self._probe(probed)) if probed else None
        try:
            return await self._until_end(process)
        finally:
            if probing:
                probing.cancel()

    async def _start(self) -> Container:
        self._take_port()
        variables = environment.variables(self._pod, self._port, self._registry.store.find)
        command = environment.command(self._container)
        file = logs.path(self._folder, self._pod, self._seen.restarts)
        process = await container.start(command, variables, self._container.get("workingDir"), file, self._reaper)
        log.info("pod %s: started, process %s, port %s", name(self._pod), process.pid, self._port)
        events.record(self._registry, self._pod, "Started", f"Started container {self._container['name']}")
        return process

    async def _until_end(self, process: Container) -> int | None:
        ended = asyncio.create_task(process.ended())
        ending = asyncio.create_task(self._ending.wait())
        await asyncio.wait({ended, ending}, return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        if self._ending.is_set():
            await self._stop(process, ended)
            return None
        code = await ended
        log.warning("pod %s: process %s ended with exit code %s", name(self._pod), process.pid, code)
        self._see(ready=False, pid=None, state=pod_status.terminated(code, process.started_at))
        return code

    async def _stop(self, process: Container, ended: asyncio.Task[int]) -> None:
        events.record(self._registry, self._pod, "Killing", f"Stopping container {self._container['name']}")
        process.terminate()
        hurry = asyncio.create_task(self._hurry.wait())
        await asyncio.wait({ended, hurry}, timeout=self._grace, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not ended.done():
            log.warning("pod %s: killed, it did not end within %s s", name(self._pod), self._grace)
            process.kill()
        log.info("pod %s: stopped with exit code %s", name(self._pod), await ended)

    async def _probe(self, probe: Object) -> None:
        http, failures = probe["httpGet"], 0
        while True:
            healthy = await probes.answers(self._port, http["path"], probe.get("timeoutSeconds", 1))
            failures = 0 if healthy else failures + 1
            if healthy and not self._seen.ready:
                log.info("pod %s: ready", name(self._pod))
                self._see(ready=True)
            elif self._seen.ready and failures >= probe.get("failureThreshold", 3):
                self._see(ready=False)
                said = f"Readiness probe failed: GET {http['path']} on port {self._port}"
                events.record(self._registry, self._pod, "Unhealthy", said, events.WARNING)
            await asyncio.sleep(probes.WHILE_READY if self._seen.ready else probes.UNTIL_READY)

    async def _finished(self, code: int | None) -> bool:
        """Whether the restart policy lets the pod rest; then it rests until it is deleted."""
        policy = self._pod["spec"]["restartPolicy"]
        if code is None or policy == "Always" or (policy == "OnFailure" and code):
            return False
        self._see(phase="Failed" if code else "Succeeded")
        await self._ending.wait()
        return True

    async def _wait_before_restart(self, failures: int) -> None:
        if "terminated" in self._seen.state:
            called = f"back-off {back_off(failures):.1f}s restarting failed container={self._container['name']}"
            self._see(last_state=self._seen.state, state=pod_status.waiting("CrashLoopBackOff", called))
            said = f"Back-off restarting failed container {self._container['name']}"
            events.record(self._registry, self._pod, "BackOff", said, events.WARNING)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), back_off(failures))
        if "terminated" in self._seen.last_state:
            self._seen = replace(self._seen, restarts=self._seen.restarts + 1)

    @property
    def _container(self) -> Object:
        first: Object = self._pod["spec"]["containers"][0]
        return first

    def _take_port(self) -> None:
        """The pod keeps its port over restarts, unless another program has taken it meanwhile."""
        if not self._port or not ports.can_bind(self._port, reuse=True):
            pods = self._registry.store.all("pods")
            taken = {int(annotations(pod).get(PORT_ANNOTATION, "0")) for pod in pods}
            self._port = ports.free_for_pod(taken)
            self._see()  # at once, so that no pod that starts beside this one takes the same

    def _see(self, **changes: object) -> None:
        self._seen = replace(self._seen, **changes)  # type: ignore[arg-type]  # the fields are Seen's own
        self._registry.edit(PODS, self._pod, self._write)

    def _write(self, pod: Object) -> None:
        pod["status"] = pod_status.status(pod, self._seen)
        pod["metadata"]["annotations"] = annotations(pod) | {PORT_ANNOTATION: str(self._port)}
