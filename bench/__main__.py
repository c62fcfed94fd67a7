"""`make bench`: runs the benchmarks on a stack of their own and prints what they measured."""

import sys
import tempfile
from pathlib import Path
from typing import Final

from bench.large_batch import run_batch
from tests.acceptance.shop import Shop
from tests.stack import running_stack
from waybill.client import Client

OBJECTS: Final = 100_000


def main() -> None:
    """One batch of 100,000 texts on two worker processes."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else OBJECTS
    with (
        tempfile.TemporaryDirectory(prefix="waybill-bench-") as folder,
        running_stack(Path(folder) / "data", workers=2) as stack,
        Client(stack.api_url, stack.api_key) as client,
    ):
        shop = Shop.open(client)
        run = run_batch(client, shop.bucket_id, count, stack.pids)
    print(f"{count:,} texts on 2 worker processes: {run.receipt['status']}")
    print(f"  import    {run.import_s:8.1f} s   {count / run.import_s:8,.0f} objects/s")
    print(f"  batch     {run.seconds:8.1f} s   {count / run.seconds:8,.0f} objects/s")
    print(f"  estimates {run.estimates_within(2):8.0%} right within a factor of two")
    for role, used_mib in sorted(run.peak_mib.items()):
        print(f"  {role:9} {used_mib:8.0f} MiB at its peak, the largest of its processes")


main()
