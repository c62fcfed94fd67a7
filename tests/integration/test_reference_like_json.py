"""JSON that the driver would take for a reference of its own is stored and read as it is."""

from typing import Final

import httpx

from app.receipts.status import TaskStatusEnum
from app.receipts.store import Ending
from app.stores import Stores
from tests.integration.receipts import claim, new_task
from tests.integration.resources import made, make_bucket, make_object

# JSON Schema has both keys.
SCHEMA: Final = {
    "$id": "https://example.org/a",
    "$ref": "#/b",
    "more": {"$ref": "c", "$id": {"$ref": "d", "$id": None, "$db": "e", "f": [1]}},
}


def test_a_task_keeps_it_through_its_life(client: httpx.Client, stores: Stores) -> None:
    namespace_id = stores.namespaces.ensure_default().namespace_id
    task = new_task(namespace_id=namespace_id, inputs=[SCHEMA], additional_data={"schema": SCHEMA})
    receipts = stores.ledger.receipts
    (created,) = receipts.create([task])
    claimed, one = claim(stores.ledger, created)
    assert claimed.inputs == [SCHEMA]
    ending = Ending(TaskStatusEnum.COMPLETED, outputs=[{"schema": SCHEMA}])
    assert receipts.finish(created.task_id, one.token, ending, worker=one.worker)
    (listed,) = made(client.post("/v1/tasks/list", json={}))["results"]
    found = made(client.get(f"/v1/tasks/{created.task_id}"))
    for each in (listed, found):
        assert each["inputs"] == [SCHEMA]
        assert each["additional_data"]["schema"] == SCHEMA
        assert each["outputs"] == [{"schema": SCHEMA}]


def test_an_object_keeps_it(client: httpx.Client) -> None:
    bucket = make_bucket(client)
    stored = make_object(client, bucket, metadata={"schema": SCHEMA})
    url = f"/v1/buckets/{bucket['bucket_id']}/objects"
    (listed,) = made(client.post(f"{url}/list", json={}))["results"]
    found = made(client.get(f"{url}/{stored['object_id']}"))
    for each in (listed, found):
        assert each["metadata"] == {"schema": SCHEMA}
