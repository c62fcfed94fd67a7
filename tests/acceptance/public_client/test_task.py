"""Tasks through the public client: get, list and kill."""

import pytest
from mixpeek import ListTasksRequest, TaskResponse, TaskStatusEnum, TaskType

from tests.acceptance.public_client.vendor import Vendor, filters, order
from tests.acceptance.shop import Shop, text_object
from tests.acceptance.test_jobs import reached, submit
from tests.polling import poll
from waybill import Client

pytestmark = pytest.mark.timeout(180)

# The package knows no other types than its own: a job of the tests has taken one of them.
OWN_TYPE = TaskType.PLUGIN_CUSTOM


def ended(vendor: Vendor, task_id: str) -> TaskResponse:
    """The task as the package reads it, once it has a terminal status."""
    terminal = {TaskStatusEnum.COMPLETED, TaskStatusEnum.FAILED, TaskStatusEnum.CANCELED}
    return poll(
        lambda: (found := vendor.tasks.get_task(task_id)).status in terminal and found,
        description=f"task {task_id} has ended",
        within_s=120,
    )


def test_a_task_reads_as_it_is_stored(vendor: Vendor, shop: Shop) -> None:
    batch = shop.batch(shop.add([text_object("one"), text_object("two")]))
    submitted = shop.submit(batch)
    ended(vendor, submitted["task_id"])
    task = vendor.tasks.get_task(submitted["task_id"])
    stored = shop.client.tasks.get(submitted["task_id"])
    assert task.task_id == submitted["task_id"]
    assert task.task_type is TaskType.API_BUCKETS_BATCHES_PROCESS
    assert task.status is TaskStatusEnum.COMPLETED
    assert [each.actual_instance for each in task.inputs or ()] == [batch["batch_id"]]
    assert [each.actual_instance for each in task.outputs or ()] == stored["outputs"]
    assert task.additional_data is not None
    assert task.additional_data["batch_id"] == batch["batch_id"]
    assert task.additional_data["job_id"] == stored["additional_data"]["job_id"]
    assert (task.error, task.cancellation, task.queue_position) == (None, None, None)


def test_tasks_are_listed_by_filter_order_search_and_page(vendor: Vendor, client: Client) -> None:
    ids = [
        client.tasks.submit(OWN_TYPE.value, ["1"], additional_data={"colour": colour})["task_id"]
        for colour in ("blue", "green", "blue")
    ]
    asked = ListTasksRequest(task_type=OWN_TYPE, sort=order("created_at", "asc"))
    first = vendor.tasks.list_tasks(limit=2, include_total=True, list_tasks_request=asked)
    assert [task.task_id for task in first.results] == ids[:2]
    assert (first.pagination.total, first.pagination.total_pages) == (3, 2)
    cursor = first.pagination.next_cursor
    rest = vendor.tasks.list_tasks(limit=2, cursor=cursor, list_tasks_request=asked)
    assert [task.task_id for task in rest.results] == ids[2:]
    assert (rest.pagination.total, rest.pagination.next_cursor) == (None, None)
    second = vendor.tasks.list_tasks(page_size=2, page=2, list_tasks_request=asked)
    assert [task.task_id for task in second.results] == ids[2:]

    blue = filters(
        {"field": "additional_data.colour", "operator": "eq", "value": "blue"},
        {"field": "created_at", "operator": "gte", "value": "2026-01-01T00:00:00Z"},
    )
    found = vendor.tasks.list_tasks(list_tasks_request=ListTasksRequest(filters=blue))
    assert [task.task_id for task in found.results] == [ids[2], ids[0]]
    looked_for = ListTasksRequest(search="PLUGIN_")
    assert len(vendor.tasks.list_tasks(list_tasks_request=looked_for).results) == 3
    failed = ListTasksRequest(status=TaskStatusEnum.FAILED)
    assert vendor.tasks.list_tasks(list_tasks_request=failed).results == []
    assert len(vendor.tasks.list_tasks().results) == 3


def test_a_running_task_is_killed_and_says_so(vendor: Vendor, client: Client) -> None:
    task = submit(client, OWN_TYPE.value, "600")
    reached(client, task, "PROCESSING")
    answer = vendor.tasks.kill_task(task["task_id"])
    assert answer.success is True
    assert ended(vendor, task["task_id"]).status is TaskStatusEnum.CANCELED
    again = vendor.tasks.kill_task(task["task_id"])
    assert again.success is True
    assert "CANCELED" in str(again.message)
    cancellation = client.tasks.get(task["task_id"])["cancellation"]
    assert cancellation is not None
    assert cancellation["actor"].startswith("key:")
