"""However the stand-in ends, its pods end too."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from tests.lab.kube import standin
from tests.lab.kube.standin import StandIn, wait_until

# a child beside the main process, and neither ends on SIGTERM
STUBBORN = "trap '' TERM; sleep 60 & while true; do sleep 0.1; done"


def sessions(cluster: StandIn) -> list[int]:
    """The sessions of two ready pods, one of which ignores SIGTERM."""
    stubborn = standin.pod_spec("sh", "-c", STUBBORN)
    del stubborn["containers"][0]["readinessProbe"]
    for name, spec in (("stubborn", stubborn | {"terminationGracePeriodSeconds": 60}), ("web", standin.pod_spec())):
        cluster.core.create_namespaced_pod("default", {"metadata": {"name": name}, "spec": spec})
    wait_until(lambda: all(ready(pod) for pod in pods(cluster)))
    return [standin.pod_pid(pod) for pod in pods(cluster)]


def pods(cluster: StandIn) -> list[Any]:
    found: list[Any] = cluster.core.list_namespaced_pod("default").items
    return found


def ready(pod: Any) -> bool:
    return bool(pod.status.container_statuses and pod.status.container_statuses[0].ready)


def test_kill_9_leaves_no_process_of_any_pod(tmp_path: Path) -> None:
    """The processes of a pod, its children too, are gone at once when the stand-in is killed."""
    with standin.running(tmp_path) as cluster:
        running = sessions(cluster)
        assert all(standin.sessions(session) for session in running)
        os.kill(cluster.process.pid, signal.SIGKILL)
        wait_until(lambda: not any(standin.sessions(session) for session in running), seconds=3)


def test_the_reaper_is_started_again_when_it_is_killed(tmp_path: Path) -> None:
    """Then it knows the pods from before as well as the new ones."""
    with standin.running(tmp_path) as cluster:
        running = sessions(cluster)
        [reaper] = [process for process in children(cluster.process.pid) if process not in running]
        os.kill(reaper, signal.SIGKILL)
        cluster.core.create_namespaced_pod("default", {"metadata": {"name": "third"}, "spec": standin.pod_spec()})
        wait_until(lambda: len(pods(cluster)) == 3 and all(ready(pod) for pod in pods(cluster)))
        running = [standin.pod_pid(pod) for pod in pods(cluster)]
        os.kill(cluster.process.pid, signal.SIGKILL)
        wait_until(lambda: not any(standin.sessions(session) for session in running), seconds=3)


def children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def test_sigterm_ends_watches_and_pods_within_the_grace(tmp_path: Path) -> None:
    """A pod gets its chance to end (3 s at most); an open watch ends; the exit code is 0."""
    with standin.running(tmp_path) as cluster:
        running = sessions(cluster)
        events: list[str] = []
        ended = threading.Thread(target=lambda: events.append(cluster.raw("/api/v1/pods?watch=1")))
        ended.start()
        started = time.monotonic()
        cluster.process.send_signal(signal.SIGTERM)
        assert cluster.process.wait(timeout=5) == 0
        assert time.monotonic() - started > 2.5  # the stubborn pod had its time
        ended.join(timeout=5)
        assert events != []
        assert not any(standin.sessions(session) for session in running)
        logs = list(tmp_path.glob("pods/default_web_*/web/0.log"))
        assert "ended" in logs[0].read_text()


def test_a_port_in_use_is_an_error_and_leaves_nothing_running(tmp_path: Path) -> None:
    """The second stand-in on a port ends with the reason."""
    with standin.running(tmp_path) as cluster:
        (tmp_path / "second").mkdir()
        second = standin.started(int(cluster.url.rpartition(":")[2]), tmp_path / "second")
        assert second.wait(timeout=10) != 0
        assert "address already in use" in (tmp_path / "second/log").read_text()
