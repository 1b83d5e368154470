"""Finds pods for the lab's Prometheus: Debian builds it without `kubernetes_sd_configs`, but with `http_sd_configs`.

It answers with the labels that `kubernetes_sd_configs` of role pod would give (Prometheus' documentation,
"kubernetes_sd_config"), so the shipped relabelling works unchanged.
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from aegis_flows.lab.loopback import HOST, serve

TargetGroup = dict[str, Any]


def target_groups(pods: Sequence[Mapping[str, Any]]) -> list[TargetGroup]:
    """One group for each pod that has an address."""
    return [_group(pod) for pod in pods if pod.get("status", {}).get("podIP")]


def _group(pod: Mapping[str, Any]) -> TargetGroup:
    metadata, status = pod["metadata"], pod["status"]
    ready = {condition["type"]: condition["status"] for condition in status.get("conditions", [])}.get(
        "Ready", "unknown"
    )
    labels = {
        "namespace": metadata["namespace"],
        "pod_name": metadata["name"],
        "pod_ip": status["podIP"],
        "pod_phase": status.get("phase", ""),
        "pod_ready": ready.lower(),
        **_named("pod_label", metadata.get("labels")),
        **_named("pod_annotation", metadata.get("annotations")),
    }
    return {
        "targets": [status["podIP"]],
        "labels": {f"__meta_kubernetes_{name}": value for name, value in labels.items()},
    }


def _named(prefix: str, values: Mapping[str, str] | None) -> dict[str, str]:
    return {f"{prefix}_{re.sub('[^a-zA-Z0-9_]', '_', name)}": value for name, value in (values or {}).items()}


def app(kubernetes: httpx.AsyncClient) -> Starlette:
    async def pods(_: Request) -> JSONResponse | PlainTextResponse:
        try:
            answer = (await kubernetes.get("/api/v1/pods")).raise_for_status()
        except httpx.HTTPError as error:  # Prometheus keeps the pods it knows
            return PlainTextResponse(f"Kubernetes did not list its pods: {error}", status_code=503)
        return JSONResponse(target_groups(answer.json()["items"]))

    async def health(_: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    return Starlette(routes=[Route("/pods", pods), Route("/health", health)])


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="aegis_flows.lab.discovery", description="Pods as Prometheus' http_sd wants them."
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--kubernetes", required=True, help="the API server's URL")
    parser.add_argument("--token-file", type=Path, required=True, help="holds a bearer token that may list pods")
    flags = parser.parse_args()
    headers = {"Authorization": f"Bearer {flags.token_file.read_text().strip()}"}
    print(f"discovery: http://{HOST}:{flags.port}/pods", flush=True)
    serve(app(httpx.AsyncClient(base_url=flags.kubernetes, headers=headers, timeout=2)), flags.port)


if __name__ == "__main__":
    main()
