"""People step in: tasks are suspended, resumed and ended in bulk, through the API."""

import secrets
from collections import Counter
from functools import partial

import pytest

from tests.acceptance.shop import Shop, text_object
from tests.acceptance.test_jobs import ended, history, reached, submit
from tests.polling import poll
from tests.stack import Stack
from waybill import ApiError, Client
from waybill.types import Batch, JsonObject, Task

pytestmark = pytest.mark.timeout(180)

MANY = 12
STEPS = 120  # a dozen seconds, so that a stall does not end the job before its pause
TRIES = 5
LONG_TEXT = " ".join(f"word{n}" for n in range(2_000))


def status_of(client: Client, task: Task) -> str:
    return client.tasks.get(task["task_id"])["status"]


def suspended_midway(shop: Shop, ids: list[str]) -> tuple[Batch, Task]:
    """A batch, and its task, that was suspended when some of it was done.

    One that ended before, on a machine that stalled, is made again.
    """
    for _ in range(TRIES):
        batch = shop.batch(ids)
        task = shop.submit(batch)
        poll(
            partial(has_done_some, shop.client, task),
            description="some of the batch is done",
            within_s=60,
        )
        if status_of(shop.client, task) == "PROCESSING":
            answer = shop.client.tasks.suspend(task["task_id"])
            if answer["task"]["status"] == "SUSPENDED":
                return batch, task
    raise AssertionError(f"{TRIES} batches ended before they could be suspended")


def has_done_some(client: Client, task: Task, *, steps: int = 1) -> bool:
    progress = client.tasks.get(task["task_id"])["progress"]
    return progress is not None and progress["done"] >= steps


def test_a_running_task_pauses_at_its_checkpoint_and_goes_on_from_there(client: Client) -> None:
    task = submit(client, "test_stepping", STEPS)
    poll(
        partial(has_done_some, client, task, steps=3),
        description="some steps are done",
        within_s=60,
    )
    assert client.tasks.suspend(task["task_id"], reason="night")["success"] is True
    aside = reached(client, task, "SUSPENDED")
    assert aside["suspension"] is not None
    assert aside["suspension"]["actor"] == "key:admin"
    assert aside["suspension"]["reason"] == "night"
    again = client.tasks.suspend(task["task_id"], reason="again")
    assert again["task"]["suspension"] == aside["suspension"]
    assert client.tasks.resume(task["task_id"])["task"]["status"] == "PENDING"
    receipt = ended(client, task)
    assert (receipt["status"], receipt["suspension"]) == ("COMPLETED", None)
    [outputs] = receipt["outputs"]
    assert aside["progress"] is not None
    assert outputs == {"steps": STEPS, "began_after": aside["progress"]["done"]}
    steps = [(entry["to"], entry["actor"].split(":")[0]) for entry in history(client, task)]
    assert steps == [
        ("PENDING", "key"),
        ("PROCESSING", "worker"),
        ("SUSPENDED", "worker"),
        ("PENDING", "key"),
        ("PROCESSING", "worker"),
        ("COMPLETED", "worker"),
    ]


def test_what_takes_no_checkpoints_pauses_only_while_it_waits(client: Client) -> None:
    running = [submit(client, "test_slow", 600) for _ in range(2)]
    for task in running:
        reached(client, task, "PROCESSING")
    waiting = submit(client, "test_slow", 1)
    assert client.tasks.suspend(waiting["task_id"])["task"]["status"] == "SUSPENDED"
    with pytest.raises(ApiError) as refused:
        client.tasks.suspend(running[0]["task_id"])
    assert refused.value.status == 400
    assert "'test_slow' start from no checkpoint" in str(refused.value)
    assert client.tasks.get(running[0]["task_id"])["suspension"] is None
    for task in running:
        client.tasks.kill(task["task_id"])
        assert ended(client, task)["status"] == "CANCELED"
    assert status_of(client, waiting) == "SUSPENDED"
    client.tasks.resume(waiting["task_id"])
    assert ended(client, waiting)["status"] == "COMPLETED"
    with pytest.raises(ApiError) as refused:
        client.tasks.resume(waiting["task_id"])
    assert "COMPLETED" in str(refused.value)


def test_a_batch_pauses_as_a_whole_and_every_object_is_done_once(shop: Shop) -> None:
    ids = shop.add(text_object(f"{n} {LONG_TEXT}") for n in range(2_000))
    batch, task = suspended_midway(shop, ids)
    reached(shop.client, task, "SUSPENDED")
    assert shop.client.batches.get(batch["batch_id"])["status"] == "SUSPENDED"
    poll(
        lambda: (
            not any(shop.client.tasks.list(parent_task_id=task["task_id"], status="PROCESSING"))
        ),
        description="no chunk runs any more",
        within_s=60,
    )
    shop.client.tasks.resume(task["task_id"])
    receipt = shop.ended(task)
    assert receipt["status"] == "COMPLETED"
    assert receipt["outputs"][0]["succeeded"] == len(ids)
    assert Counter(document["object_id"] for document in shop.documents()) == Counter(ids)


def test_a_suspended_batch_can_be_killed(shop: Shop) -> None:
    ids = shop.add(text_object(f"{n} {LONG_TEXT}") for n in range(1_000))
    batch, task = suspended_midway(shop, ids)
    shop.client.tasks.kill(task["task_id"], reason="enough")
    assert shop.ended(task)["status"] == "CANCELED"
    assert shop.client.batches.get(batch["batch_id"])["status"] == "CANCELED"
    children = shop.client.tasks.list(parent_task_id=task["task_id"])
    assert {child["status"] for child in children} <= {"COMPLETED", "CANCELED"}


def test_a_bulk_kill_ends_what_it_selects_and_nothing_else(client: Client, stack: Stack) -> None:
    running = [submit(client, "test_slow", 600) for _ in range(2)]
    for task in running:
        reached(client, task, "PROCESSING")
    waiting = [submit(client, "test_slow", 600) for _ in range(MANY)]
    other_type = submit(client, "test_idle")
    name = f"elsewhere-{secrets.token_hex(6)}"
    with Client(stack.api_url, stack.api_key) as admin:
        admin.namespaces.create(name)
    with Client(stack.api_url, stack.api_key, namespace=name) as elsewhere:
        theirs = submit(elsewhere, "test_slow", 1)

    killing = client.tasks.kill_many(status="PENDING", task_type="test_slow", reason="too many")
    receipt = ended(client, killing)
    assert receipt["task_type"] == "api_tasks_kill"
    assert receipt["outputs"] == [{"selected": MANY, "ended": MANY, "asked": 0}]
    assert receipt["progress"] is not None
    assert receipt["progress"]["done"] == MANY
    for task in waiting:
        killed = client.tasks.get(task["task_id"])
        assert (killed["status"], killed["attempt"]) == ("CANCELED", 0)
        assert killed["cancellation"] is not None
        assert killed["cancellation"]["actor"] == "key:admin"
        assert killed["cancellation"]["reason"] == "too many"
    assert {status_of(client, task) for task in running} == {"PROCESSING"}

    condition = {"field": "task_type", "operator": "starts_with", "value": "test_sl"}
    rest = ended(client, client.tasks.kill_many(filters={"AND": [condition]}))
    assert rest["outputs"] == [{"selected": 2, "ended": 0, "asked": 2}]
    for task in running:
        assert ended(client, task)["status"] == "CANCELED"
    assert ended(client, other_type)["status"] == "SKIPPED"
    with Client(stack.api_url, stack.api_key, namespace=name) as elsewhere:
        assert ended(elsewhere, theirs)["status"] == "COMPLETED"


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        ({}, "name the tasks to end"),
        ({"reason": "all"}, "name the tasks to end"),
        ({"status": "RUNNING"}, "PENDING"),
        ({"filters": {"nonsense": 1}}, "nonsense"),
        ({"filters": {"AND": [{"field": "status", "operator": "is", "value": 1}]}}, "is"),
        ({"everything": True}, "everything"),
    ],
)
def test_a_bulk_kill_that_selects_nothing_known_is_refused(
    client: Client, selection: JsonObject, said: str
) -> None:
    with pytest.raises(ApiError) as refused:
        client.request("POST", "/v1/tasks/kill", selection)
    assert refused.value.status == 422
    assert said in f"{refused.value} {refused.value.details}"
