"""What producers ask for: single tasks, batches of objects, and the end of many tasks."""

from functools import partial
from typing import Final

from tests.acceptance.shop import text_object
from tests.chaos import jobs
from tests.chaos.desk import Desk, Json
from tests.chaos.tally import BATCH, BULK_KILL, Order

OBJECTS: Final = (20, 60)
GROUPS: Final = 4  # what a bulk kill ends: one group of its namespace's tasks
# Of each type: how often it comes, against the others, and its one input, least and most.
SHAPES: Final = {
    jobs.STEPS: (40, 2, 30),
    jobs.PLAIN: (20, 2, 15),
    jobs.BLIND: (10, 2, 8),
    jobs.FLAKY: (15, 1, 1),
    jobs.FAMILY: (15, 2, 8),
}


def submit(desk: Desk) -> None:
    """Up to four tasks in one call."""
    key = desk.label("submit")
    orders = [_order(desk, f"{key}-{n}") for n in range(desk.rng.randint(1, 4))]
    desk.tally.order(orders)
    tasks = [
        {
            "task_type": order.task_type,
            "inputs": list(order.inputs),
            "additional_data": {"tag": order.tag, "group": desk.rng.randrange(GROUPS)},
        }
        for order in orders
    ]
    desk.send("/v1/tasks/submit", {"tasks": tasks}, partial(_take, desk), key=key)


def process(desk: Desk) -> None:
    """A batch: its objects, then a draft of them, then its submit."""
    key = desk.label("objects")
    objects = [text_object(f"{key} {n}") for n in range(desk.rng.randint(*OBJECTS))]
    path = f"/v1/buckets/{desk.shop.bucket_id}/objects/batch"
    desk.send(path, {"objects": objects}, partial(_draft, desk), key=key)


def kill_many(desk: Desk) -> None:
    """One group of the namespace's tasks; the bulk kill is a task itself."""
    reason = desk.label("kill-many")
    desk.tally.try_kill(reason)
    desk.tally.order([Order(reason, BULK_KILL, [reason])])
    body = {"filters": {"additional_data.group": desk.rng.randrange(GROUPS)}, "reason": reason}
    desk.send("/v1/tasks/kill", body, lambda task: desk.accept(task["task_id"], reason), key=reason)


def _order(desk: Desk, tag: str) -> Order:
    weights = [weight for weight, _, _ in SHAPES.values()]
    (task_type,) = desk.rng.choices(list(SHAPES), weights)
    _, least, most = SHAPES[task_type]
    return Order(tag, task_type, [desk.rng.randint(least, most)])


def _take(desk: Desk, answer: Json) -> None:
    if answer["failed"]:
        desk.tally.find(f"a submit was refused: {answer['failed']}")
    for task in answer["succeeded"]:
        desk.accept(task["task_id"], task["additional_data"]["tag"])


def _draft(desk: Desk, answer: Json) -> None:
    ids = [stored["object_id"] for stored in answer["succeeded"]]
    path = f"/v1/buckets/{desk.shop.bucket_id}/batches"
    key = desk.label("draft")
    body = {"object_ids": ids, "batch_name": key}
    desk.send(path, body, partial(_start, desk, ids), key=key)


def _start(desk: Desk, ids: list[str], batch: Json) -> None:
    desk.tally.order([Order(batch["batch_id"], BATCH, ids)])
    path = desk.shop.path(batch)
    desk.send(f"{path}/submit", {}, partial(_take_batch, desk, path))


def _take_batch(desk: Desk, path: str, task: Json) -> None:
    desk.accept(task["task_id"], task["additional_data"]["batch_id"])
    desk.batches[task["task_id"]] = path
