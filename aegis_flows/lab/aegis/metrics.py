from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

SIGNATURE_REASONS = ("signature_mismatch", "missing_signature", "missing_key", "wrong_key", "model_missing")
SAFETY_REASONS = ("self_harm", "jailbreak", "pii")
AUDIT_CODES = (
    "AccessDenied",
    "NoSuchBucket",
    "KMS.DisabledException",
    "KMS.KMSInvalidStateException",
    "KMS.NotFoundException",
    "EndpointConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
)
LATENCY_BUCKETS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """What /metrics shows. Labels known beforehand start at 0, so that Prometheus sees their first increase."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client leaves it untyped
        self.registry = registry = CollectorRegistry()
        self.safety_flags = Counter("aegis_safety_flags_total", "Flagged prompts", ["reason"], registry=registry)
        self.latency = Histogram(
            "aegis_inference_latency_seconds",
            "From a request's arrival to its answer",
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self.model_loaded = Gauge("aegis_model_loaded", "1 if a model serves, else 0", registry=registry)
        self.signature_errors = Counter(
            "aegis_model_signature_errors_total", "Models refused", ["reason"], registry=registry
        )
        self.queue_depth = Gauge("aegis_batch_queue_depth", "Prompts that wait for a batch", registry=registry)
        self.audit = AuditMetrics(registry)
        self.index_failures = Counter(
            "aegis_search_index_failures_total", "Flagged events that OpenSearch did not take", registry=registry
        )
        for reason in SIGNATURE_REASONS:
            self.signature_errors.labels(reason)
        for reason in SAFETY_REASONS:
            self.safety_flags.labels(reason)


class AuditMetrics:
    """All count events, except backend_failures; events = written + buffered + pending + lost."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter("aegis_audit_events_total", "Accepted", registry=registry)
        self.written = Counter("aegis_audit_written_events_total", "Put to S3 and read back", registry=registry)
        self.buffered = Counter("aegis_audit_buffered_events_total", "Put into the fallback buffer", registry=registry)
        self.lost = Counter("aegis_audit_lost_events_total", "Dropped: no room in memory or at exit", registry=registry)
        self.pending = Gauge("aegis_audit_pending_events", "In memory, neither written nor buffered", registry=registry)
        self.write_errors = Counter(
            "aegis_audit_write_errors_total",
            "Events of a failed attempt that are not safe in the buffer either",
            ["code"],
            registry=registry,
        )
        self.backend_failures = Counter(
            "aegis_audit_backend_failures_total", "Failed attempts at S3", ["code"], registry=registry
        )
        for code in AUDIT_CODES:
            self.write_errors.labels(code)
            self.backend_failures.labels(code)
        self.write_errors.labels("BufferUnwritable")
