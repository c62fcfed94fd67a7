"""What is asked of many tasks at once, or twice of one, stays in its namespace."""

from app.resources.task import OpenTasks, TaskSelection
from tests.integration.resources import made
from tests.integration.supply import TASK_TYPE
from tests.integration.world import Side, World


def test_bulk_kills_end_nothing_of_theirs(world: World, ours: Side, theirs: Side) -> None:
    task = made(ours.client.post("/v1/tasks/kill", json={"status": "PENDING"}))
    assert task["namespace_id"] == ours.namespace_id
    receipts = world.stores.ledger.receipts
    selected = OpenTasks(
        receipts,
        TaskSelection.from_json(task["inputs"][0]),
        namespace_id=task["namespace_id"],
        at=receipts.get(task["task_id"]).created_at,
        asking=task["task_id"],
    ).some(limit=1000)
    assert ours.ids["task_id"] in selected
    assert theirs.ids["task_id"] not in selected
    children = {"parent_task_id": theirs.ids["task_id"]}
    assert made(ours.client.post("/v1/tasks/list", json=children))["results"] == []


def test_idempotency_keys_are_of_one_namespace(world: World) -> None:
    """One key that opens both: the same request in the other namespace is another one."""
    ids = set()
    for side in (world.ours, world.theirs):
        headers = {"Idempotency-Key": "the-same", "X-Namespace": side.namespace_id}
        body = {"tasks": [{"task_type": TASK_TYPE}]}
        answer = made(world.client.post("/v1/tasks/submit", json=body, headers=headers))
        ids |= {each["task_id"] for each in answer["succeeded"]}
    assert len(ids) == 2
