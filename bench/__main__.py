"""`make bench`: runs the benchmarks on a stack of their own and prints what they measured.

`python -m bench batch [objects]`, `… recovery`, `… clustering` or `… taxonomy` runs one of them.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.clustering import COUNT, DIMENSION, compare
from bench.large_batch import run_batch
from bench.recovery import crash, kill_running
from bench.taxonomy import DOCUMENTS, NODES, materialize
from tests.acceptance.shop import Shop
from tests.stack import Stack, running_stack
from waybill import Client

OBJECTS: Final = 100_000
WORKERS: Final = 2


def main() -> None:
    """Every benchmark, or the one that is named."""
    names = sys.argv[1:2] or ["batch", "recovery", "clustering", "taxonomy"]
    with stack() as (running, client):
        if "batch" in names:
            batch(running, client, int(sys.argv[2]) if len(sys.argv) > 2 else OBJECTS)
        if "recovery" in names:
            recovery(running, client)
        if "clustering" in names:
            clustering(running)
        if "taxonomy" in names:
            taxonomy(running, client)


def batch(running: Stack, client: Client, count: int) -> None:
    """One batch of texts on two worker processes."""
    shop = Shop.open(client)
    run = run_batch(client, shop.bucket_id, count, running.pids)
    print(f"{count:,} texts on {WORKERS} worker processes: {run.receipt['status']}")
    print(f"  import    {run.import_s:8.1f} s   {count / run.import_s:8,.0f} objects/s")
    print(f"  batch     {run.seconds:8.1f} s   {count / run.seconds:8,.0f} objects/s")
    print(f"  estimates {run.estimates_within(2):8.0%} right within a factor of two")
    for role, used_mib in sorted(run.peak_mib.items()):
        print(f"  {role:9} {used_mib:8.0f} MiB at its peak, the largest of its processes")


def recovery(running: Stack, client: Client) -> None:
    """Kills and crashes under the settings' defaults: grace 10 s, lease 15 s."""
    looking = "looks twice a second; to reach: 1.5 s"
    print(kill_running(client, "test_slow", times=20, bound=looking))
    print(kill_running(client, "test_deaf", times=5, bound="never looks; to reach: grace + 5 s"))
    to_reach = "to reach: lease + 5 s"
    print(crash(client, running, times=5, workers=WORKERS, bound=to_reach))


def clustering(running: Stack) -> None:
    """K-means of many vectors, read from MongoDB."""
    found = compare(running.mongo_url)
    print(f"k-means of {COUNT:,} × {DIMENSION} vectors from MongoDB, medians of the rounds")
    print(f"  scikit-learn, with the read {found.reference_s:8.1f} s")
    print(f"  read        {found.read_s:24.1f} s")
    print(f"  fit         {found.fit_s:24.1f} s")
    print(f"  metrics     {found.measure_s:24.1f} s, not in the ratio")
    print(f"  ratio       {found.ratio:24.2f}   (to reach: 1.1)")
    print(f"  peak memory {found.peak_mib:24.0f} MiB (to reach: 600)")


def taxonomy(running: Stack, client: Client) -> None:
    """Every document compared with every node, from MongoDB and back."""
    found = materialize(client, running.mongo_url, running.pids)
    print(f"a taxonomy of {NODES:,} nodes over {DOCUMENTS:,} documents: {found.receipt['status']}")
    print(
        f"  task on {WORKERS} processes {found.seconds:8.1f} s {found.pairs_per_s:14,.0f} pairs/s"
    )
    print(f"  NumPy alone, on one {found.bare_pairs_per_s:26,.0f} pairs/s")
    for role, used_mib in sorted(found.peak_mib.items()):
        print(f"  {role:9} {used_mib:8.0f} MiB at its peak, the largest of its processes")


@contextmanager
def stack() -> Iterator[tuple[Stack, Client]]:
    """A stack in a temporary folder, with the tests' jobs, and its admin's client."""
    root = Path(__file__).parents[1]
    env = {"WAYBILL_IMPORTS": "tests.acceptance.jobs", "PYTHONPATH": str(root)}
    with (
        tempfile.TemporaryDirectory(prefix="waybill-bench-") as folder,
        running_stack(Path(folder) / "data", workers=WORKERS, env=env) as running,
        Client(running.api_url, running.api_key) as client,
    ):
        yield running, client


if __name__ == "__main__":
    main()
