"""`waybill import` of every kind of source, and of a file whose import is killed midway."""

import base64
import io
import json
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.acceptance.command import Command
from tests.polling import poll
from waybill import Client
from waybill.types import JsonObject

pytestmark = pytest.mark.timeout(240)

PROPERTIES = {
    "body": {"type": "text", "required": True},
    "price": {"type": "float"},
    "count": {"type": "integer"},
    "made": {"type": "date"},
}
LINES = 12_000
KILLS = 4


def png() -> bytes:
    content = io.BytesIO()
    Image.new("L", (2, 2)).save(content, format="PNG")
    return content.getvalue()


def is_beyond(client: Client, bucket_id: str, count: int) -> bool:
    return client.buckets.get(bucket_id)["object_count"] > count


def write_jsonl(folder: Path) -> Path:
    path = folder / "in.jsonl"
    rows: list[dict[str, object]] = [
        {"body": "one", "price": 1.5, "metadata": {"shop": "Bonn"}},
        {"blobs": [{"property": "body", "type": "text", "data": "two"}], "price": 2},
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def write_csv(folder: Path) -> Path:
    path = folder / "in.csv"
    path.write_text('body,price,count,made\n"one,\nand more",1.5,3,2026-01-31\ntwo,,,\n')
    return path


def write_parquet(folder: Path) -> Path:
    path = folder / "in.parquet"
    pq.write_table(pa.table({"body": ["one", "two"], "price": [1.5, None]}), path)
    return path


def write_folder(folder: Path) -> Path:
    path = folder / "in"
    (path / "deep").mkdir(parents=True)
    (path / "one.txt").write_text("one")
    (path / "deep" / "two.txt").write_text("two")
    return path


@pytest.mark.parametrize("write", [write_jsonl, write_csv, write_parquet, write_folder])
def test_each_kind_of_source_becomes_objects(
    command: Command, client: Client, write: Callable[[Path], Path]
) -> None:
    client.buckets.create("b", bucket_schema={"properties": PROPERTIES})
    path = write(command.folder)
    for _ in range(2):  # the second time there is nothing left to do
        answer = command.ok(
            "import", str(path), "--bucket", "b", "--property", "body", "--json"
        ).row
        assert (answer["stored"], answer["bad"], answer["complete"]) == (2, 0, True)
    stored = [
        cast(JsonObject, client.objects.get("b", row["object_id"]))
        for row in client.objects.list("b")
    ]
    texts = {
        str(each["body"] if "body" in each else each["blobs"][0]["data"])[:3] for each in stored
    }
    assert texts == {"one", "two"}
    if path.is_dir():
        assert {each["key_prefix"] for each in stored} == {"one.txt", "deep/two.txt"}
    else:
        assert 1.5 in [each.get("price") for each in stored]


def test_a_folder_of_images_becomes_documents(command: Command, client: Client) -> None:
    schema = {"properties": {"picture": {"type": "image"}, "label": {"type": "string"}}}
    client.buckets.create("pictures", bucket_schema=schema)
    client.collections.create(
        "shapes",
        bucket_ids=["pictures"],
        feature_extractor={
            "feature_extractor_name": "image",
            "input_mappings": {"image": "picture"},
        },
    )
    (command.folder / "in" / "grey").mkdir(parents=True)
    for name in ("a", "b", "c"):
        (command.folder / "in" / "grey" / f"{name}.png").write_bytes(png())
    (command.folder / "in" / "notes.txt").write_text("no image")
    ran = command.run(
        *("import", "in", "--bucket", "pictures", "--map", "parent=label"),
        *("--collection", "shapes", "--wait", "--json"),
    )
    assert ran.err == "in/notes.txt: the file is no image by its name\n"
    assert (ran.code, ran.row["stored"], ran.row["task_status"]) == (1, 3, "COMPLETED")
    documents = list(client.documents.list("shapes"))
    assert [document["fields"]["label"] for document in documents] == ["grey"] * 3
    stored = client.objects.get("pictures", documents[0]["object_id"])
    assert base64.b64decode(stored["blobs"][0]["data"]) == png()


def test_bad_lines_are_told_with_their_numbers(command: Command, client: Client) -> None:
    client.buckets.create("b", bucket_schema={"properties": PROPERTIES}, unique_key="count")
    lines = [json.dumps({"body": f"note {n}", "count": n}) for n in range(1, 1_501)]
    lines[99] = "{oops"
    lines[199] = json.dumps({"body": "x", "count": "many"})
    lines[1_399] = json.dumps({"body": "again", "count": 7})
    (command.folder / "in.jsonl").write_text("\n".join(lines))
    ran = command.run("import", "in.jsonl", "--bucket", "b", "--errors", "bad.jsonl")
    assert ran.code == 1
    assert ran.out == "Imported 1,497 objects; 3 were bad.\n"
    places = [line.split(": ")[0] for line in ran.err.splitlines()]
    assert places == ["in.jsonl:100", "in.jsonl:200", "in.jsonl:1400"]
    bad = [json.loads(line) for line in (command.folder / "bad.jsonl").read_text().splitlines()]
    assert [each["place"] for each in bad] == places
    assert "already holds an object with this count" in bad[2]["reason"]
    assert client.buckets.get("b")["object_count"] == 1_497


def test_an_import_that_is_killed_again_and_again_is_whole_in_the_end(
    command: Command, client: Client
) -> None:
    bucket_id = client.buckets.create("b", bucket_schema={"properties": PROPERTIES})["bucket_id"]
    lines = [json.dumps({"body": f"note {n}", "count": n}) for n in range(LINES)]
    (command.folder / "in.jsonl").write_text("\n".join(lines))
    arguments = ["import", "in.jsonl", "--bucket", "b", "--json"]

    seen = 0
    for _ in range(KILLS):
        with command.running(arguments) as running:
            has_grown = partial(is_beyond, client, bucket_id, seen)
            poll(has_grown, description="more objects are stored", within_s=60)
        assert running.returncode == -signal.SIGKILL  # it had not come to its end
        seen = client.buckets.get(bucket_id)["object_count"]
    answer = command.ok(*arguments).row
    assert (answer["stored"], answer["complete"]) == (LINES, True)
    assert answer["stored_before"] > 0
    assert client.buckets.get(bucket_id)["object_count"] == LINES
    numbers = sorted(
        cast(JsonObject, row)["count"] for row in client.objects.list("b", page_size=1_000)
    )
    assert numbers == list(range(LINES))
