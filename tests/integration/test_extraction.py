"""What a chunk reads of its objects: pages that a process can hold."""

import pytest
from pymongo.database import Database

from app.database import Document
from app.resources.extraction import PAGE_BYTES, PAGE_OBJECTS, ExtractionStore, Origin

ORIGIN = Origin("ns_a", "bkt_a", "btch_a", "tsk_a", 1)


def put(database: Database[Document], object_id: str, size_bytes: int = 0, **more: str) -> None:
    stored = {"_id": object_id, "namespace_id": "ns_a", "bucket_id": "bkt_a"}
    database["objects"].insert_one({**stored, "metadata": {"x": "x" * size_bytes}, **more})


def pages(database: Database[Document], object_ids: list[str]) -> list[list[tuple[str, bool]]]:
    """The ids page by page, each with whether there is an object."""
    found = ExtractionStore(database).pages(ORIGIN, object_ids)
    return [[(object_id, stored is not None) for object_id, stored in page] for page in found]


def test_small_objects_come_by_their_number(database: Database[Document]) -> None:
    ids = [f"obj_{n}" for n in range(PAGE_OBJECTS + 2)]
    for object_id in ids:
        put(database, object_id)
    there = [(object_id, True) for object_id in ids]
    assert pages(database, ids) == [there[:PAGE_OBJECTS], there[PAGE_OBJECTS:]]
    assert pages(database, []) == []


@pytest.mark.parametrize(("part", "lengths"), [(3, [2, 2, 1]), (1.9, [1] * 5)])
def test_large_objects_come_by_their_bytes(
    database: Database[Document], part: float, lengths: list[int]
) -> None:
    ids = [f"obj_{n}" for n in range(5)]
    for object_id in ids:
        # MongoDB refuses one so large while much of its small cache is still to be written.
        database.client.admin.command("fsync")
        put(database, object_id, int(PAGE_BYTES / part))
    assert [len(page) for page in pages(database, ids)] == lengths


def test_what_is_not_there_keeps_its_place(database: Database[Document]) -> None:
    put(database, "obj_b")
    put(database, "obj_c", namespace_id="ns_b")
    put(database, "obj_d", bucket_id="bkt_b")
    assert pages(database, ["obj_d", "obj_c", "obj_b", "obj_a"]) == [
        [("obj_d", False), ("obj_c", False), ("obj_b", True), ("obj_a", False)]
    ]
