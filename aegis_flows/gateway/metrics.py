from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter


@dataclass(frozen=True)
class Metrics:
    """What the gateway counts since its start."""

    registry: CollectorRegistry
    received: Counter
    created: Counter
    duplicates: Counter
    unhandled: Counter
    refused: Counter


def new_metrics() -> Metrics:
    registry = CollectorRegistry()

    def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(f"aegis_gateway_{name}", text, labels, registry=registry)

    return Metrics(
        registry=registry,
        received=counter("deliveries_received", "Requests to POST /alerts, refused ones included."),
        created=counter("runs_created", "Playbook runs started."),
        duplicates=counter("duplicates", "Firing alert names that an existing run already answers for."),
        unhandled=counter("unhandled", "Firing alert names without a playbook."),
        refused=counter("refused", "Requests answered with an error, by HTTP status.", ("code",)),
    )
