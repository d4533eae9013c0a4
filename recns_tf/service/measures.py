"""What a service measures of itself, in the format of Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Measures:
    """Counters and histograms of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "recns_requests", "Requests answered", ["path", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "recns_request_seconds",
            "Time to answer a request",
            ["path"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.batch = Histogram(
            "recns_batch_queries",
            "Queries answered together",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self.registry,
        )
        self.loaded = Gauge(
            "recns_run_loaded_timestamp_seconds",
            "When the served run was loaded",
            ["run"],
            registry=self.registry,
        )

    def set_run(self, run: str, since: float) -> None:
        """Record the served run, in place of the one before."""
        self.loaded.clear()
        self.loaded.labels(run).set(since)

    def text(self) -> bytes:
        """Return all values in the text format of Prometheus."""
        return generate_latest(self.registry)
