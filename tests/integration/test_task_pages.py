"""A list that is read page by page while its tasks are written: each is seen exactly once."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pymongo.collection import Collection

from app.database import Document
from app.identity import new_id
from app.receipts.draft import new_document
from app.receipts.status import TaskStatusEnum
from app.receipts.transition import Move
from app.stores import Stores
from tests.integration.receipts import new_task
from tests.integration.resources import made

STORED = 10_000
WRITTEN = 5_000
CHANGED = 2_000
PAGE_SIZE = 200
STEPS = 40  # fewer than there are pages
SUSPEND = Move((TaskStatusEnum.PENDING,), TaskStatusEnum.SUSPENDED, actor="key:test")


def documents(namespace_id: str, moments: Iterator[datetime]) -> list[Document]:
    task = new_task(namespace_id=namespace_id)
    return [new_document(new_id("tsk"), task, at=moment) for moment in moments]


def pages(client: httpx.Client, direction: str | None) -> Iterator[list[dict[str, Any]]]:
    body = {"sort": {"field": "created_at", "direction": direction}} if direction else {}
    cursor: str | None = None
    while True:
        params = {"limit": str(PAGE_SIZE), **({"cursor": cursor} if cursor else {})}
        answer = made(client.post("/v1/tasks/list", params=params, json=body))
        yield answer["results"]
        cursor = answer["pagination"]["next_cursor"]
        if cursor is None:
            return


@pytest.mark.parametrize("direction", [None, "asc"])
def test_each_task_is_listed_once_while_others_come_and_change(
    client: httpx.Client, stores: Stores, direction: str | None
) -> None:
    namespace_id = stores.namespaces.ensure_default().namespace_id
    receipts = stores.ledger.receipts
    tasks: Collection[Document] = receipts.tasks
    start = datetime.now(UTC) - timedelta(minutes=1)
    moments = (start + timedelta(milliseconds=number // 7) for number in range(STORED))
    stored = documents(namespace_id, moments)
    tasks.insert_many(stored, ordered=False)
    ids = [document["_id"] for document in stored]
    changing = ids[:: STORED // CHANGED]

    def write(step: int) -> int:
        """What others do meanwhile: new tasks among and after the old ones, and transitions."""
        amount, share = WRITTEN // STEPS, CHANGED // STEPS
        among = (start + timedelta(milliseconds=number * 11) for number in range(amount // 2))
        after = (datetime.now(UTC) for _ in range(amount - amount // 2))
        new = [*documents(namespace_id, among), *documents(namespace_id, after)]
        tasks.insert_many(new, ordered=False)
        mine = changing[step * share : (step + 1) * share]
        return receipts.move_many(SUSPEND, sets={}, among={"_id": {"$in": mine}})

    seen: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        writes = [pool.submit(write, step) for step in range(STEPS)]
        for number, page in enumerate(pages(client, direction)):
            seen += [task["task_id"] for task in page]
            if number < STEPS:
                writes[number].result()  # neither runs ahead of the other
    assert sum(each.result() for each in writes) == CHANGED
    assert tasks.count_documents({}) == STORED + WRITTEN
    assert set(Counter(seen).values()) == {1}
    assert set(ids) <= set(seen)
