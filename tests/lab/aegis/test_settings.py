from pathlib import Path

import pytest

from aegis_flows.errors import BadInput
from aegis_flows.lab.aegis import settings

ENVIRON = {
    "PORT": "8080",
    "POD_NAME": "aegis-1",
    "AUDIT_S3_BUCKET": "bucket",
    "AUDIT_KMS_KEY_ID": "key",
    "MODEL_REGISTRY_DIR": "models",
    "MODEL_VERSION": "v1",
}


def test_defaults() -> None:
    """What the Deployment leaves out is on the safe side: signatures required, no fallback, 50 ms."""
    assert settings.read(ENVIRON) == settings.Settings(
        port=8080,
        pod="aegis-1",
        audit=settings.Audit("bucket", "key", fallback=False, fallback_dir=None, region="us-east-1"),
        model=settings.Model(Path("models"), "v1", signing_required=True, public_key=None),
        batch_max_latency_ms=50,
        opensearch_url="",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUDIT_S3_BUCKET", ""),
        ("AUDIT_FALLBACK_ENABLED", "yes"),
        ("MODEL_SIGNING_REQUIRED", "True"),
        ("BATCH_MAX_LATENCY_MS", "fast"),
        ("BATCH_MAX_LATENCY_MS", "-1"),
        ("BATCH_MAX_LATENCY_MS", "nan"),
    ],
)
def test_bad_values_are_named(name: str, value: str) -> None:
    """The error names the variable."""
    with pytest.raises(BadInput, match=name):
        settings.read({**ENVIRON, name: value})
