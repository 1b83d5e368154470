import sys
from pathlib import Path
from typing import Any

import httpx

from aegis_flows.lab import discovery
from tests.lab.processes import answers, free_port, running

POD: dict[str, Any] = {
    "metadata": {
        "name": "aegis-1",
        "namespace": "aegis-staging",
        "labels": {"app": "aegis", "aegis/environment": "staging"},
        "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "41001"},
    },
    "status": {"podIP": "127.0.0.1", "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
}


def test_labels_are_those_of_kubernetes_sd_configs() -> None:
    """A pod is described by the meta labels that Prometheus' documentation lists for role pod."""
    assert discovery.target_groups([POD]) == [
        {
            "targets": ["127.0.0.1"],
            "labels": {
                "__meta_kubernetes_namespace": "aegis-staging",
                "__meta_kubernetes_pod_name": "aegis-1",
                "__meta_kubernetes_pod_ip": "127.0.0.1",
                "__meta_kubernetes_pod_phase": "Running",
                "__meta_kubernetes_pod_ready": "true",
                "__meta_kubernetes_pod_label_app": "aegis",
                "__meta_kubernetes_pod_label_aegis_environment": "staging",
                "__meta_kubernetes_pod_annotation_prometheus_io_scrape": "true",
                "__meta_kubernetes_pod_annotation_prometheus_io_port": "41001",
            },
        }
    ]


def test_a_pod_without_an_address_is_no_target() -> None:
    """A pod that is not started yet is left out, as Prometheus does; one without labels is not."""
    pending = {"metadata": {"name": "a", "namespace": "n"}, "status": {"phase": "Pending"}}
    bare = {"metadata": {"name": "b", "namespace": "n", "labels": None}, "status": {"podIP": "10.0.0.1"}}
    (group,) = discovery.target_groups([pending, bare])
    assert group["labels"]["__meta_kubernetes_pod_name"] == "b"


def test_an_unreachable_kubernetes_is_a_503(tmp_path: Path) -> None:
    """Prometheus then keeps the pods it knows; an empty list would take them all away."""
    (tmp_path / "token").write_text("secret")
    port, nobody = free_port(), free_port()
    flags = ["--port", str(port), "--kubernetes", f"http://127.0.0.1:{nobody}", "--token-file", str(tmp_path / "token")]
    command = [sys.executable, "-m", "aegis_flows.lab.discovery", *flags]
    with running(command, lambda: answers(f"http://127.0.0.1:{port}/health")):
        assert httpx.get(f"http://127.0.0.1:{port}/pods").status_code == 503
