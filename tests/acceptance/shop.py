"""A bucket of texts with its collection: what most acceptance tests work on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Self

from tests.polling import poll
from waybill.client import Client, JsonObject
from waybill.polling import TERMINAL

SCHEMA: Final = {
    "properties": {
        "body": {"type": "text", "required": True},
        "price": {"type": "float"},
    }
}
OBJECTS_PER_CALL: Final = 1_000
ENDED_WITHIN_S: Final = 120.0


def text_object(text: object, **fields: object) -> JsonObject:
    """An object whose body is `text`."""
    return {"blobs": [{"property": "body", "type": "text", "data": text}], **fields}


@dataclass(frozen=True, slots=True)
class Shop:
    """One bucket and one collection with the text extractor."""

    client: Client
    bucket_id: str
    collection_id: str

    @classmethod
    def open(cls, client: Client, schema: JsonObject | None = None) -> Self:
        """Makes both in the client's namespace."""
        bucket = client.request(
            "POST", "/v1/buckets", {"bucket_name": "texts", "bucket_schema": schema or SCHEMA}
        )
        collection = client.request(
            "POST",
            "/v1/collections",
            {
                "collection_name": "text-vectors",
                "source": {"type": "bucket", "bucket_ids": [bucket["bucket_id"]]},
                "feature_extractor": {
                    "feature_extractor_name": "text",
                    "parameters": {},
                    "input_mappings": {"text": "body"},
                },
            },
        )
        return cls(client, bucket["bucket_id"], collection["collection_id"])

    def add(self, objects: Iterable[JsonObject]) -> list[str]:
        """Stores the objects, all of which must be taken, and returns their ids in order."""
        rest, ids = iter(objects), []
        while part := list(islice(rest, OBJECTS_PER_CALL)):
            answer = self.client.request(
                "POST", f"/v1/buckets/{self.bucket_id}/objects/batch", {"objects": part}
            )
            assert answer["failed"] == []
            ids += [stored["object_id"] for stored in answer["succeeded"]]
        return ids

    def batch(self, object_ids: Sequence[str], **more: object) -> JsonObject:
        """A draft of these objects."""
        return self.client.request(
            "POST",
            f"/v1/buckets/{self.bucket_id}/batches",
            {"object_ids": list(object_ids), **more},
        )

    def path(self, batch: JsonObject) -> str:
        return f"/v1/buckets/{self.bucket_id}/batches/{batch['batch_id']}"

    def submit(self, batch: JsonObject) -> JsonObject:
        """The batch's task."""
        return self.client.request("POST", f"{self.path(batch)}/submit", {})

    def process(self, object_ids: Sequence[str]) -> tuple[JsonObject, JsonObject]:
        """A batch of the objects, submitted, and its task's receipt once it has ended."""
        batch = self.batch(object_ids)
        return batch, self.ended(self.submit(batch))

    def ended(self, task: JsonObject, *, within_s: float = ENDED_WITHIN_S) -> JsonObject:
        """The receipt of the task with a terminal status."""
        return poll(
            lambda: (
                (found := self.client.get_task(task["task_id"]))["status"] in TERMINAL and found
            ),
            description=f"task {task['task_id']} has ended",
            within_s=within_s,
        )

    def documents(self) -> list[JsonObject]:
        """Every document of the collection."""
        found: list[JsonObject] = []
        body: JsonObject = {"limit": 1000}
        while True:
            page = self.client.request(
                "POST", f"/v1/collections/{self.collection_id}/documents/list", body
            )
            found += page["results"]
            cursor = page["pagination"]["next_cursor"]
            if cursor is None:
                return found
            body = {"limit": 1000, "cursor": cursor}
