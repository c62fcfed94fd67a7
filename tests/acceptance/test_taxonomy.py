"""Taxonomies on a whole stack: trials, tasks, versions, targets, the command."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import pytest

from tests.acceptance.command import Command
from tests.acceptance.shop import text_object
from waybill import Client
from waybill.types import Document, JsonObject, Task

pytestmark = pytest.mark.timeout(300)

WITHIN_S: Final = 120.0
SCHEMA: Final = {
    "properties": {
        "body": {"type": "text", "required": True},
        "name": {"type": "string"},
        "department": {"type": "string"},
        "shelf": {"type": "integer"},
    }
}
DEPARTMENTS: Final = (
    ("pots pans kitchen cooking", {"name": "kitchen"}),
    ("shirts trousers clothing socks", {"name": "clothes"}),
)
GOODS: Final = (
    ("frying pans and pots", {"name": "pans", "department": "kitchen", "shelf": 1}),
    ("cooking knives kitchen", {"name": "knives", "department": "kitchen", "shelf": 2}),
    ("woollen socks", {"name": "socks", "department": "clothes", "shelf": 3}),
)
NOTES: Final = ("a big frying pan", "kitchen knives set", "warm woollen socks", "zzzz qqqq", "xxxx")
HIERARCHY: Final = {
    "levels": [
        {"collection_id": "departments", "threshold": 0.05},
        {
            "collection_id": "goods",
            "parent_field": "department",
            "enrichment_fields": [{"field_path": "shelf"}],
        },
    ]
}


def add_collection(
    client: Client, name: str, things: Iterable[tuple[str, Mapping[str, object]]]
) -> Task:
    """A collection with a bucket of its own, and the task that fills it."""
    bucket = f"{name}-bucket"
    client.buckets.create(bucket, bucket_schema=SCHEMA)
    extractor = {"feature_extractor_name": "text", "input_mappings": {"text": "body"}}
    client.collections.create(name, bucket_ids=[bucket], feature_extractor=extractor)
    objects = [text_object(text, **fields) for text, fields in things]
    assert client.objects.create_many(bucket, objects)["failed_count"] == 0
    batch = client.batches.create(bucket, filters={})
    return client.batches.submit(bucket, batch["batch_id"])


@pytest.fixture
def catalogue(client: Client) -> Client:
    """Departments, the goods in them, and notes."""
    tasks = [
        add_collection(client, "departments", DEPARTMENTS),
        add_collection(client, "goods", GOODS),
        add_collection(client, "notes", [(note, {"name": note}) for note in NOTES]),
    ]
    for task in tasks:
        client.tasks.wait(task["task_id"], timeout_s=WITHIN_S)
    return client


def outputs(client: Client, task: Task) -> JsonObject:
    receipt = client.tasks.wait(task["task_id"], timeout_s=WITHIN_S)
    (found,) = receipt["outputs"]
    return dict(found)


def paths(documents: Iterable[Document], taxonomy_id: str) -> dict[str, list[list[str]]]:
    """The labels on the way to each node, by the document's name."""
    return {
        document["fields"]["name"]: [
            [step["label"] for step in one["path"]]
            for one in document.get("taxonomies", {})[taxonomy_id]["assignments"]
        ]
        for document in documents
        if taxonomy_id in document.get("taxonomies", {})
    }


def test_a_collection_is_assigned_again_and_again(catalogue: Client, command: Command) -> None:
    client = catalogue
    taxonomy_id = client.taxonomies.create("shelves", HIERARCHY)["taxonomy_id"]
    before = list(client.documents.list("notes", vectors=True))
    notes = {each["document_id"]: each for each in before}

    task = client.taxonomies.materialize("shelves", "notes", batch_size=2)
    assert outputs(client, task) == {
        "documents": 5, "assigned": 3, "skipped": 2, "assignments": 3, "nodes": 5, "version": 1,
    }  # fmt: skip
    assert len(list(client.tasks.list(parent_task_id=task["task_id"]))) == 3
    assert paths(client.documents.list("notes"), taxonomy_id) == {
        "a big frying pan": [["kitchen", "pans"]],
        "kitchen knives set": [["kitchen", "knives"]],
        "warm woollen socks": [["clothes", "socks"]],
    }
    shelved = client.documents.page("notes", filters={f"taxonomies.{taxonomy_id}.fields.shelf": 3})
    (entry,) = [each["taxonomies"][taxonomy_id] for each in shelved["results"]]
    assert (entry["version"], entry["fields"], entry["task_id"]) == (
        1,
        {"shelf": 3},
        task["task_id"],
    )
    for document in client.documents.list("notes", vectors=True):
        document.pop("taxonomies", None)
        assert document == notes[document["document_id"]]  # nothing else of it has changed

    _assigned_by_the_next_version(client, command, taxonomy_id)
    _copied_into_a_target(client, command, taxonomy_id)
    said = command.ok("taxonomies", "delete", "shelves", "--yes").out
    assert "is deleted" in said


def _assigned_by_the_next_version(client: Client, command: Command, taxonomy_id: str) -> None:
    """Fewer match: the others lose what version 1 assigned; version 1 stays readable."""
    config = '{"source_collection": "departments", "threshold": 0.3}'
    rows = command.ok("taxonomies", "versions", "shelves", "--config", config, "--json").rows
    assert [row["version"] for row in rows] == [2, 1]
    ran = command.ok("taxonomies", "materialize", "shelves", "notes", "--wait", "--json")
    assert ran.row["outputs"][0]["skipped"] == 4
    found = paths(client.documents.list("notes"), taxonomy_id)
    assert found == {"kitchen knives set": [["kitchen"]]}
    pinned = client.taxonomies.materialize("shelves", "notes", version=1)
    assert outputs(client, pinned)["version"] == 1
    assert len(paths(client.documents.list("notes"), taxonomy_id)) == 3
    (row,) = client.taxonomies.get("shelves")["materializations"]
    assert (row["applied_version"], row["status"]) == (1, "COMPLETED")
    document = '{"body": "pots and pans"}'
    match = command.ok("taxonomies", "execute", "shelves", document, "--version", "1", "--json").row
    assert match["path"] == ["kitchen", "pans"]
    assert command.ok("taxonomies", "list", "--quiet").out.split() == [taxonomy_id]


def _copied_into_a_target(client: Client, command: Command, taxonomy_id: str) -> None:
    """A copy of each document that matches, until it matches no more."""
    client.collections.create(
        "copies",
        bucket_ids=["notes-bucket"],
        feature_extractor={"feature_extractor_name": "text", "input_mappings": {"text": "body"}},
    )
    sizes: dict[int, Any] = {}
    for version in (1, 2, 1):
        task = client.taxonomies.materialize("shelves", "notes", target="copies", version=version)
        counts = outputs(client, task)
        copies = {each["document_id"]: each for each in client.documents.list("copies")}
        assert len(copies) == counts["assigned"]
        assert len(paths(copies.values(), taxonomy_id)) == len(copies)
        assert sizes.setdefault(version, copies.keys()) == copies.keys()  # the same ids again
    assert (len(sizes[1]), len(sizes[2])) == (3, 1)
    copy = client.documents.get("copies", next(iter(sizes[2])), vectors=True)
    source = client.documents.get("notes", copy["origin"]["document_id"], vectors=True)
    assert (copy["vectors"], copy["fields"]) == (source["vectors"], source["fields"])
    assert "shelves" in command.ok("taxonomies", "get", "shelves").out
