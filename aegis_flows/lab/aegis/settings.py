import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aegis_flows.errors import BadInput

REQUIRED = ("PORT", "POD_NAME", "AUDIT_S3_BUCKET", "AUDIT_KMS_KEY_ID", "MODEL_REGISTRY_DIR", "MODEL_VERSION")
ADVICE = "Correct the container's environment in the Deployment."


@dataclass(frozen=True)
class Audit:
    bucket: str
    kms_key_id: str
    fallback: bool
    fallback_dir: Path | None
    region: str


@dataclass(frozen=True)
class Model:
    registry: Path
    version: str
    signing_required: bool
    public_key: Path | None


@dataclass(frozen=True)
class Settings:
    """One pod's environment; AWS_CONFIG_FILE, AWS_PROFILE and AWS_ENDPOINT_URL are boto3's own to read."""

    port: int
    pod: str
    audit: Audit
    model: Model
    batch_max_latency_ms: float
    opensearch_url: str


def read(environ: Mapping[str, str]) -> Settings:
    """Raises BadInput naming the variable that is missing or wrong."""
    missing = [name for name in REQUIRED if not environ.get(name)]
    if missing:
        raise BadInput(f"not set: {', '.join(missing)}.", advice=ADVICE)
    return Settings(
        port=int(_number(environ, "PORT", "")),
        pod=environ["POD_NAME"],
        audit=Audit(
            bucket=environ["AUDIT_S3_BUCKET"],
            kms_key_id=environ["AUDIT_KMS_KEY_ID"],
            fallback=_flag(environ, "AUDIT_FALLBACK_ENABLED", "false"),
            fallback_dir=_path(environ, "AUDIT_FALLBACK_DIR"),
            region=environ.get("AWS_REGION", "us-east-1"),
        ),
        model=Model(
            registry=Path(environ["MODEL_REGISTRY_DIR"]),
            version=environ["MODEL_VERSION"],
            signing_required=_flag(environ, "MODEL_SIGNING_REQUIRED", "true"),
            public_key=_path(environ, "MODEL_SIGNING_PUBLIC_KEY"),
        ),
        batch_max_latency_ms=_number(environ, "BATCH_MAX_LATENCY_MS", "50"),
        opensearch_url=environ.get("OPENSEARCH_URL", "").rstrip("/"),
    )


def _path(environ: Mapping[str, str], name: str) -> Path | None:
    return Path(environ[name]) if environ.get(name) else None


def _flag(environ: Mapping[str, str], name: str, default: str) -> bool:
    text = environ.get(name) or default
    if text not in {"true", "false"}:
        raise BadInput(f"{name} must be true or false, not {text!r}.", advice=ADVICE)
    return text == "true"


def _number(environ: Mapping[str, str], name: str, default: str) -> float:
    text = environ.get(name) or default
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise BadInput(f"{name} must be a number of 0 or more, not {text!r}.", advice=ADVICE)
    return number
