"""Counters for Prometheus, shared by the workers through PROMETHEUS_MULTIPROC_DIR when it is set."""

from __future__ import annotations

import os
from collections.abc import Mapping

from flask import Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# A histogram counts as well: `…_count` is the number of requests.
_requests = Histogram(
    "rebootcamp_http_request_seconds",
    "Time to answer a request.",
    ("rule", "method", "status"),
    buckets=BUCKETS,
)
_children: dict[tuple[str | None, str, int], Histogram] = {}


def observe(rule: str | None, method: str, status: int, seconds: float) -> None:
    """Count one answer under its route (never its raw path), method and status class."""
    key = (rule, method if method in METHODS else "other", status // 100)
    child = _children.get(key)
    if child is None:
        child = _children[key] = _requests.labels(rule or "unmatched", key[1], f"{key[2]}xx")
    child.observe(seconds)


def exposition(gauges: Mapping[str, float]) -> Response:
    """Return all figures in the Prometheus text format; `gauges` are those of this moment, the same in each worker."""
    registry = REGISTRY
    # The variable is prometheus_client's own: the library reads it at import, so Settings cannot stand in for it.
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    told = "".join(
        f"# TYPE rebootcamp_{name} gauge\nrebootcamp_{name} {float(value)}\n" for name, value in gauges.items()
    )
    return Response(generate_latest(registry) + told.encode(), content_type=CONTENT_TYPE_LATEST)
