"""`waybill demo`: the main job on real input, from an empty folder to a receipt with its history.

The input is the 1,797 handwritten digits that scikit-learn ships (E. Alpaydin and C. Kaynak,
"Optical Recognition of Handwritten Digits", UCI Machine Learning Repository), as PNG images.
"""

import base64
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from sklearn.datasets import load_digits

from app.errors import UnavailableError
from waybill import ApiError, Client
from waybill.types import JsonObject, Task

START_TIMEOUT_S: Final = 90.0
STOP_TIMEOUT_S: Final = 60.0
LOOK_EVERY_S: Final = 0.1
NAMESPACE: Final = "demo"

console: Final = Console()


def run_demo(data_dir: Path | None, workers: int) -> None:
    """Runs everything and stops it again; the folder is a temporary one unless named."""
    with tempfile.TemporaryDirectory(prefix="waybill-demo-") as scratch:
        folder = data_dir or Path(scratch) / "data"
        with _stack(folder, Path(scratch) / "ready.json", workers) as ready:
            console.print(f"API {ready['api_url']}, Flower {ready['flower_url']}\n")
            with Client(str(ready["api_url"]), str(ready["api_key"])) as client:
                _name_space(client)
            with Client(
                str(ready["api_url"]), str(ready["api_key"]), namespace=NAMESPACE
            ) as client:
                _main_job(client)


def _main_job(client: Client) -> None:
    bucket_id = _create_bucket(client)
    collection_id = _create_collection(client, bucket_id)
    object_ids = _import_digits(client, bucket_id)
    batch = client.batches.create(bucket_id, object_ids=object_ids, collection_ids=[collection_id])
    task = client.batches.submit(bucket_id, batch["batch_id"])
    console.print(f"Submitted: task {task['task_id']} is {task['status']}.")
    receipt = _follow(client, task["task_id"])
    _show_receipt(client, receipt, collection_id)
    _show_errors(client, bucket_id)


def _name_space(client: Client) -> None:
    try:
        client.namespaces.create(NAMESPACE)
    except ApiError as exc:
        if exc.type != "AlreadyExistsError":
            raise


def _create_bucket(client: Client) -> str:
    schema = {
        "properties": {
            "image": {"type": "image", "required": True},
            "label": {"type": "integer", "required": True},
        }
    }
    name = f"digits-{int(time.time())}"
    bucket = client.buckets.create(name, bucket_schema=schema)
    console.print(f"Bucket {bucket['bucket_id']}: objects with an image and a label.")
    return bucket["bucket_id"]


def _create_collection(client: Client, bucket_id: str) -> str:
    collection = client.collections.create(
        f"digit-shapes-{int(time.time())}",
        bucket_ids=[bucket_id],
        feature_extractor={
            "feature_extractor_name": "image",
            "input_mappings": {"image": "image"},
        },
    )
    console.print(f"Collection {collection['collection_id']}: the image extractor's vectors.")
    return collection["collection_id"]


def _import_digits(client: Client, bucket_id: str) -> list[str]:
    digits = load_digits()
    objects = [
        {
            "key_prefix": f"digit/{index}",
            "blobs": [{"property": "image", "type": "image", "data": _png(pixels)}],
            "label": int(label),
        }
        for index, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True))
    ]
    stored = client.objects.create_many(bucket_id, objects)["succeeded"]
    console.print(f"Imported {len(stored):,} handwritten digits as PNG images.")
    return [one["object_id"] for one in stored]


def _png(pixels: "np.ndarray[Any, np.dtype[np.float64]]") -> str:
    """The base64 of an 8×8 grey PNG; the digits' intensities go from 0 to 16."""
    image = Image.fromarray(np.rint(pixels * (255 / 16)).astype(np.uint8))
    content = io.BytesIO()
    image.save(content, format="PNG")
    return base64.b64encode(content.getvalue()).decode()


def _follow(client: Client, task_id: str) -> Task:
    """Shows what the task reports until it ends; the receipt of one that ended well."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        line = bar.add_task("PENDING", total=None)
        for event in client.tasks.stream(task_id):
            if event["event"] == "transition":
                bar.update(line, description=event["data"]["to"])
            elif event["event"] == "progress":
                progress = event["data"]
                bar.update(line, completed=progress["done"], total=progress["total"])
    return client.tasks.wait(task_id)


def _show_receipt(client: Client, receipt: Task, collection_id: str) -> None:
    console.print("\n[bold]The receipt[/bold]")
    console.print_json(json.dumps(receipt))
    columns = ("seq", "from", "to", "at", "actor", "reason")
    table = Table(*columns, title="Its history")
    for entry in client.tasks.history(receipt["task_id"]):
        shown = {**entry, "at": _time(entry["at"]).strftime("%H:%M:%S.%f")[:-3]}
        table.add_row(*("" if shown[name] is None else str(shown[name]) for name in columns))
    console.print(table)
    seconds = (_time(receipt["ended_at"]) - _time(receipt["started_at"])).total_seconds()
    counts = receipt["outputs"][0]
    count = client.documents.count(collection_id)
    console.print(
        f"{counts['objects']:,} objects in {seconds:.1f} s, {counts['objects'] / seconds:,.0f} a "
        f"second; the collection has {count:,} documents.\n"
    )


def _show_errors(client: Client, bucket_id: str) -> None:
    console.print("[bold]Three wrong inputs[/bold]")
    image = {"property": "image", "type": "image", "data": "this is no base64!"}
    answer = client.objects.create_many(bucket_id, [{"blobs": [image], "label": 7}])
    console.print(f"An image that is none: {answer['failed'][0]['error']}")
    wrong: list[tuple[str, str, JsonObject]] = [
        ("A key that does not exist", "/v1/buckets", {"bucket_name": "b", "colour": "red"}),
        (
            "An object that is not there",
            f"/v1/buckets/{bucket_id}/batches",
            {"object_ids": ["obj_none"]},
        ),
    ]
    for title, path, body in wrong:
        try:
            client.request("POST", path, body)
        except ApiError as exc:
            console.print(f"{title}: {exc.status} {exc.type}: {exc}")


def _time(text: object) -> datetime:
    return datetime.fromisoformat(str(text))


@contextmanager
def _stack(data_dir: Path, ready_file: Path, workers: int) -> Iterator[JsonObject]:
    """`waybill up` in a process of its own, stopped at the end as Ctrl-C would."""
    command = [sys.executable, "-m", "waybill", "up", "--data-dir", str(data_dir)]
    command += ["--workers", str(workers), "--ready-file", str(ready_file)]
    console.print("Starting MongoDB, Valkey, PostgreSQL, API, workers, Beat and Flower …")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield _await_ready(process, ready_file)
    finally:
        process.terminate()
        process.wait(STOP_TIMEOUT_S)


def _await_ready(process: "subprocess.Popen[bytes]", ready_file: Path) -> JsonObject:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            raise UnavailableError("`waybill up` did not start; it said why above.")
        if ready_file.exists():
            ready: JsonObject = json.loads(ready_file.read_text())
            return ready
        time.sleep(LOOK_EVERY_S)
    raise UnavailableError(f"`waybill up` was not ready within {START_TIMEOUT_S:g} s.")
