"""A bucket of texts with its collection: what most acceptance tests work on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from tests.polling import poll
from waybill import Client
from waybill.flow.polling import TERMINAL
from waybill.types import Batch, Document, JsonObject, Task

SCHEMA: Final = {
    "properties": {
        "body": {"type": "text", "required": True},
        "price": {"type": "float"},
    }
}
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
        bucket = client.buckets.create("texts", bucket_schema=schema or SCHEMA)
        collection = client.collections.create(
            "text-vectors",
            bucket_ids=[bucket["bucket_id"]],
            feature_extractor={
                "feature_extractor_name": "text",
                "parameters": {},
                "input_mappings": {"text": "body"},
            },
        )
        return cls(client, bucket["bucket_id"], collection["collection_id"])

    def add(self, objects: Iterable[JsonObject]) -> list[str]:
        """Stores the objects, all of which must be taken, and returns their ids in order."""
        answer = self.client.objects.create_many(self.bucket_id, list(objects))
        assert answer["failed"] == []
        return [stored["object_id"] for stored in answer["succeeded"]]

    def batch(self, object_ids: Sequence[str], *, batch_name: str | None = None) -> Batch:
        """A draft of these objects."""
        return self.client.batches.create(
            self.bucket_id, object_ids=object_ids, batch_name=batch_name
        )

    def path(self, batch: Mapping[str, Any]) -> str:
        return f"/v1/buckets/{self.bucket_id}/batches/{batch['batch_id']}"

    def submit(self, batch: Batch) -> Task:
        """The batch's task."""
        return self.client.batches.submit(self.bucket_id, batch["batch_id"])

    def process(self, object_ids: Sequence[str]) -> tuple[Batch, Task]:
        """A batch of the objects, submitted, and its task's receipt once it has ended."""
        batch = self.batch(object_ids)
        return batch, self.ended(self.submit(batch))

    def ended(self, task: Task, *, within_s: float = ENDED_WITHIN_S) -> Task:
        """The receipt of the task with a terminal status."""
        return poll(
            lambda: (
                (found := self.client.tasks.get(task["task_id"]))["status"] in TERMINAL and found
            ),
            description=f"task {task['task_id']} has ended",
            within_s=within_s,
        )

    def documents(self) -> list[Document]:
        """Every document of the collection."""
        return list(self.client.documents.list(self.collection_id, page_size=1_000))
