"""Bodies of events tell what a task was given, whatever the driver makes of it."""

import json

from pymongo.database import Database

from app.database import Document
from app.receipts.ledger import Ledger
from tests.integration.test_webhook_expansion import deliveries, expansion, finished, subscribe

# JSON Schema has both keys; the driver reads an object that has them as MongoDB's own reference.
SCHEMA = {"$id": "https://example.org/a", "$ref": "#/b", "more": {"$ref": "c", "$id": 1}}


def test_an_object_with_an_id_and_a_ref_is_told_as_it_is_and_holds_nobody_up(
    ledger: Ledger, database: Database[Document]
) -> None:
    webhook = subscribe(database, "task.completed")
    given = {"schema": SCHEMA, "list": [SCHEMA]}
    task_ids = [finished(ledger), finished(ledger)]
    database["tasks"].update_one({"_id": task_ids[0]}, {"$set": {"additional_data": given}})
    expansion(ledger).run()
    rows = deliveries(database, webhook)
    assert [row["task_id"] for row in rows] == task_ids
    metadata = json.loads(rows[0]["body"])["metadata"]
    assert metadata["additional_data"] == given
