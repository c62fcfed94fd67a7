"""What follows in here from documents that a batch wrote: no old answers, and a schema."""

from typing import Final

import httpx
import pytest

from tests.acceptance.shop import Shop, text_object
from tests.polling import poll
from tests.stack import Stack
from waybill.types import Collection

pytestmark = pytest.mark.timeout(120)

HIT: Final = "hit"


def test_answers_and_schema_follow_a_batch(shop: Shop, stack: Stack, namespace: str) -> None:
    headers = {"Authorization": f"Bearer {stack.api_key}", "X-Namespace": namespace}
    url = f"{stack.api_url}/v1/collections/{shop.collection_id}/documents"
    with httpx.Client(headers=headers, timeout=30) as http:

        def counted() -> tuple[int, str]:
            answer = http.post(f"{url}/count")
            count: int = answer.json()["count"]
            return count, answer.headers["x-cache"]

        assert counted() == (0, "miss")
        assert counted() == (0, HIT)
        assert http.get(url).json()["results"] == []
        ids = shop.add(text_object(f"thing {n}", price=n + 0.5) for n in range(5))
        _, task = shop.process(ids)
        assert task["status"] == "COMPLETED"
        assert counted() == (5, "miss")
        assert {one["object_id"] for one in http.get(url).json()["results"]} == set(ids)

    def synced() -> Collection | None:
        found = shop.client.collections.get(shop.collection_id)
        return found if found["schema_version"] == 2 else None

    collection = poll(synced, description="the schema has the documents", within_s=60)
    assert collection["document_schema"] == {
        "fields": {"price": "number"},
        "metadata": {},
        "vectors": {"text": "vector"},
    }
    assert collection["last_schema_sync"] is not None
