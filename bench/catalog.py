"""All benchmarks by the names that `python -m bench` takes, in the order in which it runs them."""

from typing import Final

# The modules are imported by the process that runs them only: each has much of its own to load.
MODULES: Final = {
    "noop": "bench.noop.comparison",
    "recorded": "bench.noop.recorded",
    "others": "bench.noop.others",
    "submission": "bench.submission",
    "reading": "bench.reading",
    "listing": "bench.listing",
    "batch": "bench.large_batch",
    "latency": "bench.latency",
    "recovery": "bench.recovery",
    "webhooks": "bench.webhooks",
    "clustering": "bench.clustering",
    "taxonomy": "bench.taxonomy",
    "tracking": "bench.tracking",
    "memory": "bench.memory",
    "cost": "bench.cost",
    "simulation": "bench.simulation",
}
