"""Things that exist, one of each kind: without them, few requests would get past a 404."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import httpx
from pymongo.database import Database
from schemathesis import Case
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase

from app.database import Document
from app.deliveries.delivery import Target, new_delivery
from app.deliveries.derivation import events_of
from app.receipts.outbox import Entry, Untold
from app.receipts.status import TaskStatusEnum
from app.webhooks.channel import Channel
from tests.integration.clusters import cluster_body, complete
from tests.integration.resources import Json, collection_body, made, thing
from tests.integration.runs import add_run, migrate

TASK_TYPE: Final = "thumbnails"
CALLBACK_URL: Final = "https://example.com/callback"
GIVEN: Final = 0.8  # the share of the generated cases that name what exists


class Supply:
    """One of everything in a namespace of its own, and a new one for each call that uses it up.

    `ids` are by the names of path parameters. The client's requests go to the namespace from then
    on; its key makes namespaces and keys.
    """

    def __init__(
        self,
        client: httpx.Client,
        database: Database[Document],
        postgres_url: str,
        rng: random.Random,
    ) -> None:
        self._client = client
        self._database = database
        self._postgres_url = postgres_url
        self._documents = database["documents"]
        self._rng = rng
        self.ids = self._namespace_ids()
        self._namespace = self.ids["namespace_identifier"]
        client.headers["X-Namespace"] = self._namespace
        self.ids |= self._bucket_ids()
        self.ids |= self._object_ids()
        self.ids |= self._collection_ids()
        self.ids |= self._batch_ids() | self._task_ids() | self._key_ids()
        self.ids |= self._document_ids()
        self.ids |= self._cluster_ids()
        self.ids |= self._run_ids()
        self.ids |= self._taxonomy_ids()
        self.ids |= self._webhook_ids()
        self.ids |= self._delivery_ids()
        self.ids |= self._processing_ids()
        self._add_callback()
        self.extended = self._namespace_ids()["namespace_identifier"]
        self.ids |= self._extension_ids()

    def add_others(self) -> None:
        """A second one of all that lists show."""
        for add in (
            self._bucket_ids,
            self._object_ids,
            self._collection_ids,
            self._batch_ids,
            self._task_ids,
            self._key_ids,
            self._document_ids,
            self._cluster_ids,
            self._run_ids,
            self._taxonomy_ids,
            self._webhook_ids,
            self._delivery_ids,
            self._processing_ids,
            self._extension_ids,
        ):
            add()

    def fill(self, case: Case, operation_id: str) -> None:
        """Puts what exists into the valid parts of the case: of every example, of most others."""
        meta = case.meta
        assert meta is not None
        if meta.phase.name is not TestPhase.EXAMPLES and self._rng.random() > GIVEN:
            return
        if not meta.is_negative_at(ParameterLocation.HEADER):
            case.headers["X-Namespace"] = self._namespace
        if not meta.is_negative_at(ParameterLocation.PATH):
            ids = self.ids | self._used_up_by(operation_id)
            case.path_parameters.update({name: ids[name] for name in case.path_parameters})
        if not meta.is_negative_at(ParameterLocation.BODY):
            self._fill_body(case.body)

    def _fill_body(self, body: object) -> None:
        """Lists of ids and names of types, wherever in the body they stand."""
        match body:
            case dict():
                for key, value in body.items():
                    if key in LISTS and isinstance(value, list):
                        body[key] = [self.ids[LISTS[key]]]
                    elif key in SINGLE and isinstance(value, str):
                        body[key] = self.ids[SINGLE[key]]
                    elif key == "task_type":
                        body[key] = TASK_TYPE
                    else:
                        self._fill_body(value)
            case list():
                for each in body:
                    self._fill_body(each)

    def _used_up_by(self, operation_id: str) -> dict[str, str]:
        match operation_id:
            case "delete_namespace" | "patch_namespace":
                return self._namespace_ids()
            case "delete_bucket":
                return self._bucket_ids()
            case "delete_object":
                return self._object_ids()
            case "delete_collection":
                return self._collection_ids()
            case "add_objects" | "submit_batch":
                return self._batch_ids()
            case "cancel_batch":
                return self._submitted_batch_ids()
            case "retry_batch":
                return self._ended_batch_ids()
            case "kill_task" | "delete_task" | "suspend_task" | "resume_task":
                return self._task_ids()
            case "get_task" | "stream_task":  # nothing to wait for
                return self._ended_task_ids()
            case "patch_cluster" | "remove_cluster":
                return self._cluster_ids()
            case "patch_taxonomy" | "delete_taxonomy" | "add_version" | "materialize_taxonomy":
                return self._taxonomy_ids()
            case "start_migration" | "cancel_migration" | "delete_migration":
                return self._migration_ids()
            case "roll_back_migration":
                return self._canceled_migration_ids()
            case "put_webhook" | "delete_webhook" | "rotate_webhook_secret" | "purge_deliveries":
                return self._webhook_ids()
            case "patch_key" | "rotate_key" | "revoke_key":
                return self._key_ids()
            case _:
                return {}

    def _namespace_ids(self) -> dict[str, str]:
        namespace = self._post("/v1/namespaces", {"namespace_name": self._name()})
        return {"namespace_identifier": namespace["namespace_id"]}

    def _bucket_ids(self) -> dict[str, str]:
        body = {"bucket_name": self._name(), "bucket_schema": {"properties": {}}}
        return {"bucket_identifier": self._post("/v1/buckets", body)["bucket_id"]}

    def _object_ids(self) -> dict[str, str]:
        stored = self._post(f"/v1/buckets/{self.ids['bucket_identifier']}/objects", thing())
        return {"object_id": stored["object_id"]}

    def _collection_ids(self) -> dict[str, str]:
        bucket = {"bucket_id": self.ids["bucket_identifier"]}
        made_now = self._post("/v1/collections", collection_body(bucket, self._name()))
        return {"collection_identifier": made_now["collection_id"]}

    def _batch_ids(self) -> dict[str, str]:
        body = {"object_ids": [self.ids["object_id"]]}
        path = f"/v1/buckets/{self.ids['bucket_identifier']}/batches"
        return {"batch_id": self._post(path, body)["batch_id"]}

    def _submitted_batch_ids(self) -> dict[str, str]:
        ids = self._batch_ids()
        self._post(self._batch_path(ids, "submit"), {})
        return ids

    def _ended_batch_ids(self) -> dict[str, str]:
        ids = self._submitted_batch_ids()
        self._post(self._batch_path(ids, "cancel"), {})
        return ids

    def _task_ids(self) -> dict[str, str]:
        body = {"tasks": [{"task_type": TASK_TYPE}]}
        (task,) = self._post("/v1/tasks/submit", body)["succeeded"]
        return {"task_id": task["task_id"]}

    def _ended_task_ids(self) -> dict[str, str]:
        ids = self._task_ids()
        self._post(f"/v1/tasks/{ids['task_id']}/kill", {})
        return ids

    def _key_ids(self) -> dict[str, str]:
        body = {"name": self._name(), "permission": "read", "namespaces": [self._namespace]}
        return {"key_id": self._post("/v1/organizations/api-keys", body)["key_id"]}

    def _document_ids(self) -> dict[str, str]:
        """Batches make documents, and no worker runs here."""
        document_id, now = f"doc_{self._name()}", datetime.now(UTC)
        self._documents.insert_one(
            {
                "_id": document_id,
                "namespace_id": self._namespace,
                "collection_id": self.ids["collection_identifier"],
                "bucket_id": self.ids["bucket_identifier"],
                "object_id": self.ids["object_id"],
                "task_id": self.ids["task_id"],
                "fields": {"price": 3.5},
                "metadata": {},
                "created_at": now,
                "updated_at": now,
            }
        )
        return {"document_id": document_id}

    def _cluster_ids(self) -> dict[str, str]:
        body = cluster_body(self.ids["collection_identifier"], self._name())
        return {"cluster_identifier": self._post("/v1/clusters", body)["cluster_id"]}

    def _run_ids(self) -> dict[str, str]:
        task = self._post(f"/v1/clusters/{self.ids['cluster_identifier']}/execute", {})
        members = [self.ids["document_id"], f"doc_{self._name()}"]
        collection_id = self.ids["collection_identifier"]
        return {"run_id": complete(self._database, task, members, collection_id)}

    def _taxonomy_ids(self) -> dict[str, str]:
        source = self.ids["collection_identifier"]
        body = {"taxonomy_name": self._name(), "source_collection": source}
        return {"taxonomy_identifier": self._post("/v1/taxonomies", body)["taxonomy_id"]}

    def _webhook_ids(self) -> dict[str, str]:
        channels = [{"channel": "webhook", "configs": {"url": "https://example.com/hooks"}}]
        body = {"webhook_name": self._name(), "event_types": ["*"], "channels": channels}
        webhook = self._post("/v1/organizations/webhooks", body)
        return {"webhook_identifier": webhook["webhook_id"]}

    def _delivery_ids(self) -> dict[str, str]:
        """Waits to be sent: no dispatcher runs here."""
        path = f"/v1/organizations/webhooks/{self.ids['webhook_identifier']}/test"
        return {"delivery_id": self._post(path, {})["delivery_id"]}

    def _processing_ids(self) -> dict[str, str]:
        """Workers write runs, and none runs here."""
        migrate(self._postgres_url)
        reference = f"{self.ids['task_id']}/1"
        event: Json = {"namespace_id": self._namespace, "inputs": []}
        now = datetime.now(UTC)
        return {"processing_id": add_run(self._postgres_url, now, reference=reference, event=event)}

    def _add_callback(self) -> None:
        """What the task's URL is sent when it has ended, which a dispatcher would store."""
        entry = Entry(2, TaskStatusEnum.PENDING, TaskStatusEnum.CANCELED, datetime.now(UTC), 0)
        task = Untold(
            task_id=self.ids["task_id"],
            namespace_id=self._namespace,
            task_type=TASK_TYPE,
            callback_url=CALLBACK_URL,
            additional_data={},
            about={},
            outputs=None,
            error_message=None,
            done=0,
            news=(entry,),
        )
        ((event, _),) = events_of(task)
        target = Target("callback:supply", Channel.CALLBACK, url=CALLBACK_URL)
        row = new_delivery(event, event.to_bytes(), target, at=entry.at)
        self._database["deliveries"].insert_one(row)

    def _extension_ids(self) -> dict[str, str]:
        """A migration that a key to both namespaces sees; only one to all makes new ones."""
        return self._migration_ids(migration_type="extend", target_namespace_id=self.extended)

    def _migration_ids(self, **more: str) -> dict[str, str]:
        target = more or {"migration_type": "copy", "target_namespace_name": self._name()}
        body = {"source_namespace_id": self._namespace, **target}
        return {"migration_id": self._post("/v1/namespaces/migrations", body)["migration_id"]}

    def _canceled_migration_ids(self) -> dict[str, str]:
        ids = self._migration_ids()
        self._post(f"/v1/namespaces/migrations/{ids['migration_id']}/cancel", {})
        return ids

    def _batch_path(self, ids: Mapping[str, str], call: str) -> str:
        return f"/v1/buckets/{self.ids['bucket_identifier']}/batches/{ids['batch_id']}/{call}"

    def _post(self, path: str, body: Json) -> Json:
        return made(self._client.post(path, json=body))

    def _name(self) -> str:
        return f"n{self._rng.getrandbits(64):016x}"


# The keys of bodies that take ids, one or a list of them, and the things that these are of.
SINGLE: Final[Mapping[str, str]] = {
    "collection_id": "collection_identifier",
    "source_collection": "collection_identifier",
    "taxonomy_id": "taxonomy_identifier",
    "source_namespace_id": "namespace_identifier",
}
LISTS: Final[Mapping[str, str]] = {
    "bucket_ids": "bucket_identifier",
    "object_ids": "object_id",
    "collection_ids": "collection_identifier",
    "namespaces": "namespace_identifier",
}
