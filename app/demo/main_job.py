"""The main job: a batch of images, from its receipt to its end."""

import json

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from app.demo.terminal import console, moment
from waybill import Client
from waybill.types import Task


def run_batch(client: Client, bucket_id: str, collection_id: str, object_ids: list[str]) -> None:
    """Submits the batch, follows it, and shows its receipt with the history."""
    batch = client.batches.create(bucket_id, object_ids=object_ids, collection_ids=[collection_id])
    task = client.batches.submit(bucket_id, batch["batch_id"])
    console.print(f"Submitted: task {task['task_id']} is {task['status']}.")
    receipt = follow(client, task["task_id"])
    _show_receipt(client, receipt, collection_id)


def follow(client: Client, task_id: str) -> Task:
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
        shown = {**entry, "at": moment(entry["at"]).strftime("%H:%M:%S.%f")[:-3]}
        table.add_row(*("" if shown[name] is None else str(shown[name]) for name in columns))
    console.print(table)
    seconds = (moment(receipt["ended_at"]) - moment(receipt["started_at"])).total_seconds()
    counts = receipt["outputs"][0]
    count = client.documents.count(collection_id)
    console.print(
        f"{counts['objects']:,} objects in {seconds:.1f} s, {counts['objects'] / seconds:,.0f} a "
        f"second; the collection has {count:,} documents.\n"
    )
