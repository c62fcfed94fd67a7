"""Schemas of collections follow their documents."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pymongo.database import Database

from app.database import Document, server_time
from app.resources.schema_sync import SchemaSync
from tests.integration.resources import Json, made, make_bucket, make_collection


@pytest.fixture
def collection(client: httpx.Client) -> Json:
    return make_collection(client, make_bucket(client))


def write(
    database: Database[Document], collection: Json, *fields: Json, at: datetime | None = None
) -> None:
    """Documents as an extractor leaves them, as far as a schema looks."""
    database["documents"].insert_many(
        {
            "collection_id": collection["collection_id"],
            "fields": each,
            "metadata": {"rank": 1},
            "vectors": {"text": b"\x27\x00"},
            "updated_at": (at or datetime.now(UTC)) + timedelta(milliseconds=n),
        }
        for n, each in enumerate(fields)
    )


def test_a_schema_grows_with_the_documents(
    client: httpx.Client, database: Database[Document], collection: Json
) -> None:
    sync = SchemaSync(database, page_documents=2)

    def synced(*fields: Json, at: datetime | None = None) -> Json:
        write(database, collection, *fields, at=at)
        sync.run(collection["collection_id"], written_at=server_time(database))
        return made(client.get(f"/v1/collections/{collection['collection_id']}"))

    assert collection["document_schema"] == {"fields": {}, "metadata": {}, "vectors": {}}
    odd: Json = {"a.b": 1, "$x": [1], "": {"y": 1}, "n": None, "long" * 100: 1}
    first = synced({"price": 1}, {"price": 2**40}, {"shop": "a"}, odd, {"at": datetime.now(UTC)})
    assert first["document_schema"] == {
        "fields": {
            "": "object",
            "$x": "array",
            "a.b": "integer",
            "at": "datetime",
            "price": "integer",
            "shop": "string",
        },
        "metadata": {"rank": "integer"},
        "vectors": {"text": "vector"},
    }
    assert (first["schema_version"], first["updated_at"]) == (2, collection["updated_at"])
    assert first["last_schema_sync"] is not None

    # Written by a process whose clock is slow.
    late = datetime.now(UTC) - timedelta(seconds=100)
    second = synced({"price": 1.5, "shop": True}, at=late)
    assert second["document_schema"]["fields"] == {
        **first["document_schema"]["fields"],
        "price": "number",
        "shop": "mixed",
    }
    assert second["schema_version"] == 3

    # Nothing new: the version stays, and the look is noted; documents that go take nothing along.
    database["documents"].delete_many({})
    third = synced({"price": 3})
    assert third["document_schema"] == second["document_schema"]
    assert third["schema_version"] == 3
    assert third["last_schema_sync"] > second["last_schema_sync"]


def test_one_look_serves_all_that_was_written_before(
    client: httpx.Client, database: Database[Document], collection: Json
) -> None:
    sync = SchemaSync(database)
    write(database, collection, {"a": 1})
    written_at = server_time(database)
    sync.run(collection["collection_id"], written_at=written_at)
    url = f"/v1/collections/{collection['collection_id']}"
    first = made(client.get(url))
    sync.run(collection["collection_id"], written_at=written_at)
    assert made(client.get(url)) == first
    assert sync.of_namespace(collection["namespace_id"]) == [collection["collection_id"]]
    sync.run("col_gone", written_at=written_at)


def test_a_collection_that_cannot_be_read_keeps_no_other_from_its_schema(
    client: httpx.Client, database: Database[Document], collection: Json
) -> None:
    bad = make_collection(client, make_bucket(client, "other"), "bad")
    stored = {"document_schema": [{"part": "of a later version", "name": "a", "type": "string"}]}
    database["collections"].update_one({"_id": bad["collection_id"]}, {"$set": stored})
    write(database, collection, {"a": 1})
    ids = [bad["collection_id"], collection["collection_id"]]
    with pytest.raises(ValueError, match="later version"):
        SchemaSync(database).follow(dict.fromkeys(ids, server_time(database)))
    found = made(client.get(f"/v1/collections/{collection['collection_id']}"))
    assert found["document_schema"]["fields"] == {"a": "integer"}
