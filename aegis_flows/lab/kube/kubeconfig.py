"""The file by which kubectl and the Python client find the stand-in."""

import os
from pathlib import Path
from urllib.parse import quote, urlsplit

import yaml

_NAME = "aegis-lab"


def write_kubeconfig(path: Path, url: str, token: str | None = None, namespace: str = "default") -> None:
    """Write a kubeconfig that only its owner can read, in one step.

    The token stands twice: as the user's token, which the Python client sends, and in the server's URL, because
    client-go sends a user's credentials over https only.
    """
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _NAME, "cluster": {"server": _server(url, token)}}],
        "users": [{"name": _NAME, "user": {"token": token} if token else {}}],
        "contexts": [{"name": _NAME, "context": {"cluster": _NAME, "user": _NAME, "namespace": namespace}}],
        "current-context": _NAME,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.tmp")
    with open(draft, "w", opener=lambda file, flags: os.open(file, flags, 0o600)) as handle:
        yaml.safe_dump(config, handle)
    draft.replace(path)


def _server(url: str, token: str | None) -> str:
    parts = urlsplit(url)
    if token is None or parts.scheme == "https":
        return url
    return parts._replace(netloc=f"{_NAME}:{quote(token, safe='')}@{parts.netloc}").geturl()
