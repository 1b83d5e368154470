"""Fills the lab's empty cluster and account: identities, signed models, the Aegis service; ends when it is healthy."""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import httpx

from aegis_flows.lab import identities, models
from aegis_flows.lab.identities import Identities
from aegis_flows.lab.models import SignedModels

NAMESPACE = "aegis-staging"
WITHIN = 60.0


def main() -> None:
    arguments = argparse.ArgumentParser()
    for name in ("--aws", "--kubernetes", "--opensearch", "--service"):
        arguments.add_argument(name, required=True, help="its URL")
    arguments.add_argument("--node-port", type=int, required=True)
    arguments.add_argument("--folder", type=Path, required=True)
    given = arguments.parse_args()
    account = identities.seed(given.aws, given.folder)
    signed = models.sign_models(given.folder / "models")
    token = (given.folder / "secrets/kubernetes_token").read_text()
    env = pod_env(account, signed, given.folder, given.aws, given.opensearch)
    with httpx.Client(base_url=given.kubernetes, headers={"Authorization": f"Bearer {token}"}) as http:
        for path, body in objects(env, given.node_port):
            http.post(path, json=body).raise_for_status()
    _until_healthy(given.service)


def pod_env(account: Identities, signed: SignedModels, folder: Path, aws: str, opensearch: str) -> dict[str, str]:
    """The container's environment: what flows patch stands here under the same names."""
    return {
        "AUDIT_S3_BUCKET": account.bucket,
        "AUDIT_KMS_KEY_ID": account.key_arn,
        "AUDIT_FALLBACK_ENABLED": "false",
        "AUDIT_FALLBACK_DIR": str(folder / "buffer"),
        "AWS_ENDPOINT_URL": aws,
        "AWS_REGION": account.region,
        "AWS_CONFIG_FILE": str(account.aegis_config),
        "AWS_PROFILE": account.aegis_profile,
        "MODEL_REGISTRY_DIR": str(signed.registry),
        "MODEL_VERSION": "v2",
        "MODEL_SIGNING_REQUIRED": "true",
        "MODEL_SIGNING_PUBLIC_KEY": str(signed.public_key),
        "BATCH_MAX_LATENCY_MS": "50",
        "OPENSEARCH_URL": opensearch,
    }


def objects(env: dict[str, str], node_port: int) -> list[tuple[str, dict[str, Any]]]:
    """Collection path and body of everything in staging."""
    core, apps = f"/api/v1/namespaces/{NAMESPACE}", f"/apis/apps/v1/namespaces/{NAMESPACE}"
    scaling = f"/apis/autoscaling/v2/namespaces/{NAMESPACE}"
    labels = {"app": "aegis"}
    container = {
        "name": "aegis",
        "image": "aegis:lab",
        "command": ["python", "-m", "aegis_flows.lab.aegis"],
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "readinessProbe": {"httpGet": {"path": "/health", "port": 8000}},
    }
    template = {
        "metadata": {"labels": labels, "annotations": {"prometheus.io/scrape": "true"}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 5},
    }
    deployment = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    service = {
        "type": "NodePort",
        "selector": labels,
        "ports": [{"port": 80, "targetPort": 8000, "nodePort": node_port}],
    }
    autoscaler = {
        "minReplicas": 2,
        "maxReplicas": 6,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "aegis"},
    }
    return [
        ("/api/v1/namespaces", {"metadata": {"name": NAMESPACE, "labels": {"aegis/environment": "staging"}}}),
        (f"{apps}/deployments", {"metadata": {"name": "aegis", "labels": labels}, "spec": deployment}),
        (f"{core}/services", {"metadata": {"name": "aegis", "labels": labels}, "spec": service}),
        (f"{scaling}/horizontalpodautoscalers", {"metadata": {"name": "aegis"}, "spec": autoscaler}),
    ]


def _until_healthy(service: str) -> None:
    deadline = time.monotonic() + WITHIN
    last: object = None
    while time.monotonic() < deadline:
        try:
            answer = httpx.get(f"{service}/health", timeout=2)
        except httpx.TransportError as error:
            last = error
        else:
            if answer.is_success:
                return
            last = answer.text
        time.sleep(0.1)
    raise SystemExit(f"Aegis was not healthy after {WITHIN:.0f} s: {json.dumps(str(last))}")


if __name__ == "__main__":
    main()
