"""Jobs of a team's own: the README's, retries, failures, and cancellation."""

import pytest
from celery import Celery
from celery.contrib.abortable import AbortableAsyncResult

from tests.acceptance.conftest import readme_job
from tests.polling import poll
from tests.stack import Stack
from waybill import ApiError, Client
from waybill.flow.polling import TERMINAL
from waybill.types import Task, Transition

pytestmark = pytest.mark.timeout(120)


def submit(client: Client, task_type: str, *inputs: object) -> Task:
    return client.tasks.submit(task_type, inputs)


def ended(client: Client, task: Task) -> Task:
    return poll(
        lambda: (found := client.tasks.get(task["task_id"]))["status"] in TERMINAL and found,
        description=f"task {task['task_id']} has ended",
        within_s=60,
    )


def reached(client: Client, task: Task, status: str) -> Task:
    return poll(
        lambda: (found := client.tasks.get(task["task_id"]))["status"] == status and found,
        description=f"task {task['task_id']} is {status}",
        within_s=60,
    )


def history(client: Client, task: Task) -> list[Transition]:
    return client.tasks.history(task["task_id"])


def test_the_readmes_job_runs_and_is_short(client: Client) -> None:
    code = [line for line in readme_job().splitlines() if line and not line.startswith("#")]
    assert len(code) < 15
    receipt = ended(client, submit(client, "thumbnails_make", "a.png", "b.png"))
    assert receipt["status"] == "COMPLETED"
    assert receipt["outputs"] == [{"made": 2}]
    assert receipt["progress"] is not None
    assert receipt["progress"]["done"] == 2


def test_a_transient_error_is_tried_again_and_each_attempt_is_in_the_history(
    client: Client,
) -> None:
    task = submit(client, "test_flaky")
    receipt = ended(client, task)
    assert (receipt["status"], receipt["attempt"]) == ("COMPLETED", 3)
    assert receipt["error_message"] is None
    entries = history(client, task)
    assert [(entry["to"], entry["attempt"]) for entry in entries] == [
        ("PENDING", 0),
        ("PROCESSING", 1),
        ("PENDING", 1),
        ("PROCESSING", 2),
        ("PENDING", 2),
        ("PROCESSING", 3),
        ("COMPLETED", 3),
    ]
    assert entries[2]["reason"] == "ConnectionError: the line went dead"


def test_a_permanent_error_fails_at_once_and_the_traceback_is_for_operators(
    client: Client,
) -> None:
    task = submit(client, "test_hopeless")
    receipt = ended(client, task)
    assert (receipt["status"], receipt["attempt"]) == ("FAILED", 1)
    assert receipt["error_message"] == "The moon is not made of cheese."
    assert "Traceback" not in str(receipt)
    assert "Traceback" in str(history(client, task)[-1].get("traceback"))


def test_what_a_worker_has_loaded_is_spared_by_the_garbage_collector(client: Client) -> None:
    """Or it would seldom collect the exceptions that failed jobs leave behind."""
    [objects] = ended(client, submit(client, "test_spared"))["outputs"] or [0]
    assert objects > 50_000


def test_an_unknown_type_is_refused_and_the_others_go_on(client: Client) -> None:
    answer = client.tasks.submit_many([{"task_type": "test_flaky"}, {"task_type": "no_such_type"}])
    assert (answer["succeeded_count"], answer["failed_count"]) == (1, 1)
    [failed] = answer["failed"]
    assert failed["index"] == 1
    assert "thumbnails_make" in failed["error"]
    ended(client, answer["succeeded"][0])


def test_a_running_task_ends_at_its_next_look(client: Client) -> None:
    task = submit(client, "test_slow", 600)
    reached(client, task, "PROCESSING")
    answer = client.tasks.kill(task["task_id"], reason="enough")
    assert answer["success"] is True
    receipt = ended(client, task)
    assert receipt["status"] == "CANCELED"
    assert receipt["cancellation"] is not None
    assert receipt["cancellation"]["actor"] == "key:admin"
    assert receipt["cancellation"]["reason"] == "enough"
    assert receipt["cancellation"]["outcome"] == "canceled while it ran, at its own checkpoint"
    again = client.request("DELETE", f"/v1/tasks/{task['task_id']}")
    assert "had ended before" in again["message"]
    assert again["task"]["ended_at"] == receipt["ended_at"]


def test_a_waiting_task_is_canceled_at_once(client: Client) -> None:
    blockers = [submit(client, "test_slow", 600) for _ in range(2)]
    for blocker in blockers:
        reached(client, blocker, "PROCESSING")
    waiting = submit(client, "test_slow", 1)
    answer = client.tasks.kill(waiting["task_id"])
    assert answer["task"]["status"] == "CANCELED"
    assert answer["task"]["cancellation"] is not None
    assert answer["task"]["cancellation"]["outcome"] == "canceled before it started"
    for blocker in blockers:
        client.tasks.kill(blocker["task_id"])
        assert ended(client, blocker)["status"] == "CANCELED"
    assert client.tasks.get(waiting["task_id"])["attempt"] == 0


def test_kill_sets_celerys_own_abort_flag_as_well(client: Client, stack: Stack) -> None:
    task = submit(client, "test_deaf", 3_000)
    running = reached(client, task, "PROCESSING")
    client.tasks.kill(task["task_id"])
    celery = Celery(backend=stack.redis_url, set_as_current=False)
    asked: AbortableAsyncResult = AbortableAsyncResult(
        running["additional_data"]["job_id"], app=celery
    )
    poll(asked.is_aborted, description="Celery's flag is set", within_s=20)
    assert ended(client, task)["status"] == "CANCELED"


@pytest.mark.parametrize(("task_type", "unit"), [("test_deaf", 3_000), ("test_fit", 60_000)])
def test_a_job_that_never_looks_is_ended_and_the_other_goes_on(
    client: Client, task_type: str, unit: int
) -> None:
    other = submit(client, "test_slow", 100)
    deaf = submit(client, task_type, unit)
    for task in (other, deaf):
        reached(client, task, "PROCESSING")
    client.tasks.kill(deaf["task_id"], reason="too long")
    receipt = ended(client, deaf)
    assert (receipt["status"], receipt["attempt"]) == ("CANCELED", 1)
    assert receipt["cancellation"] is not None
    assert receipt["cancellation"]["outcome"] == "canceled while it ran, its process was ended"
    assert history(client, deaf)[-1]["reason"] == "too long"
    finished = ended(client, other)
    assert (finished["status"], finished["attempt"]) == ("COMPLETED", 1)


def test_a_job_with_nothing_to_do_is_skipped(client: Client) -> None:
    receipt = ended(client, submit(client, "test_idle"))
    assert receipt["status"] == "SKIPPED"
    assert receipt["outputs"] == [{"reason": "There was nothing to do."}]


def test_an_unknown_task_is_a_404(client: Client) -> None:
    with pytest.raises(ApiError) as refused:
        client.tasks.get("tsk_never_was")
    assert (refused.value.status, refused.value.type) == (404, "NotFoundError")
