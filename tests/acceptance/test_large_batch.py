"""A batch of 30,000 objects: done, in bounded memory, with progress and estimates to rely on."""

import pytest

from bench.large_batch import run_batch
from tests.acceptance.shop import Shop
from tests.stack import Stack

OBJECTS = 30_000
MEMORY_BOUND_MIB = 500


@pytest.mark.timeout(600)
def test_thirty_thousand_texts(shop: Shop, stack: Stack) -> None:
    run = run_batch(shop.client, shop.bucket_id, OBJECTS, stack.pids)
    assert run.receipt["status"] == "COMPLETED"
    assert run.receipt["outputs"][0]["succeeded"] == OBJECTS
    count = shop.client.request("POST", f"/v1/collections/{shop.collection_id}/documents/count", {})
    assert count["count"] == OBJECTS

    done = [sample.done for sample in run.samples]
    assert done == sorted(done)
    assert len(set(done)) > 5
    assert run.estimates_within(2) > 0.5
    needed_mib = dict(run.peak_mib)
    # The stack's database keeps what the tests before this one made it allocate.
    needed_mib["mongo"] -= run.first_mib["mongo"]
    too_large = {role: mib for role, mib in needed_mib.items() if mib >= MEMORY_BOUND_MIB}
    assert too_large == {}
