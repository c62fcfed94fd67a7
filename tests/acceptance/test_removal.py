"""Buckets and namespaces that are deleted with all that is in them."""

from pymongo import MongoClient
from pymongo.collection import Collection

from app.database import Document
from tests.acceptance.shop import Shop, text_object
from tests.stack import Stack
from waybill import Client

# Receipts, the log of what others were told, and the answers of requests live out their retention,
# which is short for the last.
STAY = frozenset({"tasks", "outbox", "deliveries", "idempotency"})


def test_nothing_of_a_namespace_is_left(shop: Shop, stack: Stack) -> None:
    batch, _ = shop.process(shop.add(map(text_object, ("Blue shoe", " ", "Red hat"))))
    namespace_id = batch["namespace_id"]
    with (
        MongoClient[Document](stack.mongo_url) as mongo,
        Client(stack.api_url, stack.api_key) as admin,
    ):
        database = mongo["waybill"]
        names = set(database.list_collection_names()) - STAY
        kinds = {name for name in names if _count(database[name], namespace_id)}
        assert kinds >= {"buckets", "objects", "collections", "documents", "batches"}
        removed = admin.namespaces.delete(namespace_id)
        (counts,) = admin.tasks.wait(removed["task_id"], timeout_s=60)["outputs"]
        assert counts["objects"] == 3
        assert {name for name in names if _count(database[name], namespace_id)} == set()
        members = {"_id": {"$regex": f"^{batch['batch_id']}"}}
        assert database["batch_members"].count_documents(members) == 0


def _count(rows: Collection[Document], namespace_id: str) -> int:
    return rows.count_documents({"namespace_id": namespace_id})
