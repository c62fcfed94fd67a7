"""How a producer waits, step by step."""

from itertools import islice
from typing import Any

import pytest

from app.receipts.status import TERMINAL, TaskStatusEnum
from tests.unit.client_script import AWAY, Held, Line, Script, answer, refused
from waybill.error import (
    ApiError,
    ConnectError,
    TaskCanceledError,
    TaskFailedError,
    WaitTimeoutError,
)
from waybill.flow.polling import delays, spread
from waybill.flow.waiting import MAX_FAILURES, Waiting
from waybill.types import Task

TASK = "/v1/tasks/tsk_1"
BATCH = "/v1/buckets/bkt_1/batches/btch_1"
GONE = refused(404)


def task(status: str, *, retry_after: str | None = None, **more: Any) -> Line:
    found: dict[str, Any] = {
        "task_id": "tsk_1",
        "status": status,
        "error_message": None,
        "cancellation": None,
        "additional_data": {},
    }
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return answer(200, found | more, headers)


def held(status: str, took_s: float) -> Line:
    return Held(answer(200, {"status": status, "additional_data": {}}), took_s)


def run(lines: list[Line], **options: Any) -> tuple[Task, Script]:
    script = Script(lines)
    return script.run(Waiting("tsk_1", **options).flow()), script


@pytest.mark.parametrize("status", ["COMPLETED", "SKIPPED"])
def test_wait_returns_the_last_answer(status: str) -> None:
    found, script = run([task("PENDING"), task("PROCESSING"), task(status, outputs=[1])])
    assert (found["status"], found["outputs"]) == (status, [1])
    assert [call.path for call in script.calls] == [TASK] * 3


def test_wait_raises_what_the_receipt_says_of_a_failure() -> None:
    failed = task("FAILED", error_message="The file is no image.")
    with pytest.raises(TaskFailedError, match=r"^The file is no image\.$") as raised:
        run([task("PROCESSING"), failed])
    assert raised.value.receipt["status"] == "FAILED"


def test_wait_stops_on_canceled_and_says_who_and_why() -> None:
    asked = {"actor": "key:ci", "reason": "wrong bucket"}
    with pytest.raises(TaskCanceledError, match="key:ci: wrong bucket") as raised:
        run([task("CANCELED", cancellation=asked)])
    assert raised.value.receipt["cancellation"] == asked


@pytest.mark.parametrize("cancellation", [None, {}, {"actor": "key:ci", "reason": None}])
def test_a_cancellation_without_words_is_still_one(cancellation: object) -> None:
    with pytest.raises(TaskCanceledError, match="without a reason"):
        run([task("CANCELED", cancellation=cancellation)])


def test_a_failure_without_words_is_still_a_sentence() -> None:
    with pytest.raises(TaskFailedError, match="without a message"):
        run([task("FAILED")])


@pytest.mark.parametrize("status", sorted(set(TaskStatusEnum) - TERMINAL))
def test_wait_goes_on_while_the_status_is_not_terminal(status: str) -> None:
    seen: list[str] = []
    run(
        [task(status), task(status), task("COMPLETED")],
        on_poll=lambda receipt: seen.append(receipt["status"]),
    )
    assert seen == [status, status, "COMPLETED"]


def test_a_server_that_holds_no_answer_is_polled_as_the_seed_says() -> None:
    _, script = run([*[task("PROCESSING")] * 12, task("COMPLETED")])
    expected = [spread(delay_s) for delay_s in islice(delays(), 12)]
    assert [(pause.shortest_s, pause.longest_s) for pause in script.pauses] == expected


def test_a_server_that_holds_its_answers_is_asked_again_without_a_pause() -> None:
    paces = list(islice(delays(), 6))
    _, script = run([*[held("PENDING", pace_s) for pace_s in paces], held("COMPLETED", 0.3)])
    assert [call.params["wait"] for call in script.calls[:6]] == paces
    assert all(pause.longest_s == 0 for pause in script.pauses)


def test_after_news_it_asks_again_at_once_and_otherwise_waits_for_the_rest() -> None:
    lines = [held("PENDING", 1.0), held("PROCESSING", 0.5), held("PROCESSING", 0.5)]
    _, script = run([*lines, task("COMPLETED")])
    assert [pause.longest_s for pause in script.pauses[:2]] == [0, 0]
    assert script.pauses[2].shortest_s == pytest.approx((2.25 - 0.5) * 0.9)


def test_retry_after_is_the_least_pause_and_zero_makes_no_busy_loop() -> None:
    _, script = run([task("PENDING", retry_after="7"), task("COMPLETED")])
    assert script.pauses[0].shortest_s == 7
    zero = [task("PENDING", retry_after="0")] * 4
    _, script = run([*zero, task("COMPLETED")])
    assert [pause.shortest_s for pause in script.pauses][1:] == [1.5 * 0.9, 2.25 * 0.9, 3.375 * 0.9]
    _, script = run([task("PENDING", retry_after="99999"), task("COMPLETED")])
    assert script.pauses[0].shortest_s == 60


def test_a_server_that_is_away_for_a_while_is_waited_for() -> None:
    faults: list[Line] = [AWAY, refused(503, retry_after="2"), refused(429), refused(502)]
    found, script = run([*faults, task("PROCESSING"), *faults, task("COMPLETED")])
    assert found["status"] == "COMPLETED"
    assert script.pauses[1].shortest_s == 2
    with pytest.raises(ConnectError):
        run([AWAY] * (MAX_FAILURES + 1))


@pytest.mark.parametrize("status", [400, 401, 403, 409, 422, 500])
def test_what_does_not_pass_is_raised_at_once(status: int) -> None:
    with pytest.raises(ApiError) as raised:
        run([task("PENDING"), refused(status)])
    assert raised.value.status == status


def test_a_receipt_that_is_gone_is_followed_at_its_resource() -> None:
    progress = {"done": 3, "total": 9}
    lines = [
        task("PROCESSING", progress=progress, inputs=["btch_1"]),
        GONE,
        answer(200, {"batch_id": "btch_1", "status": "PROCESSING", "progress": {"processed": 4}}),
        answer(200, {"batch_id": "btch_1", "status": "COMPLETED", "outputs": [1]}),
    ]
    found, script = run(lines, resource_path=BATCH)
    assert [call.path for call in script.calls] == [TASK, TASK, BATCH, BATCH]
    assert (found["status"], found["outputs"]) == ("COMPLETED", [1])
    assert found["additional_data"] == {"batch_id": "btch_1"}
    assert (found["inputs"], found["progress"]) == (["btch_1"], progress)


@pytest.mark.parametrize("path", ["http://elsewhere.test/b", "//elsewhere.test/b", "batches/b"])
def test_the_key_goes_to_no_other_server(path: str) -> None:
    with pytest.raises(ValueError, match="one slash"):
        run([GONE, GONE], resource_path=path)


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"batch_id": "btch_1", "bucket_id": "bkt_1"}, "/v1/batches/btch_1"),
        ({"cluster_id": "clust_1"}, "/v1/clusters/clust_1"),
    ],
)
def test_the_last_receipt_names_the_resource(data: dict[str, str], path: str) -> None:
    lines = [task("PENDING", additional_data=data), GONE, answer(200, {"status": "COMPLETED"})]
    _, script = run(lines)
    assert script.calls[-1].path == path


def test_the_resource_says_how_it_failed() -> None:
    failed = answer(200, {"status": "FAILED", "failure_reason": "No disk is left."})
    with pytest.raises(TaskFailedError, match="No disk is left") as raised:
        run([GONE, failed], resource_path=BATCH)
    assert set(raised.value.receipt) == set(Task.__annotations__)


def test_without_a_resource_a_receipt_that_is_gone_is_an_error() -> None:
    with pytest.raises(ApiError) as raised:
        run([GONE])
    assert raised.value.status == 404
    with pytest.raises(ApiError):
        run([GONE, GONE], resource_path=BATCH)


def test_a_timeout_gives_the_last_receipt_and_bounds_every_call() -> None:
    script = Script([task("PENDING")] * 10)
    with pytest.raises(WaitTimeoutError, match="within 5 s") as raised:
        script.run(Waiting("tsk_1", timeout_s=5).flow())
    assert script.now_s == 1_005
    assert raised.value.receipt is not None
    assert raised.value.receipt["status"] == "PENDING"
    assert isinstance(raised.value, TimeoutError)
    for call in script.calls:
        assert call.limit_s is not None
        assert call.limit_s <= 5
        assert call.hold_s <= call.limit_s


def test_a_server_that_never_answers_ends_at_the_timeout_as_well() -> None:
    with pytest.raises(WaitTimeoutError) as raised:
        run([AWAY] * 10, timeout_s=3)
    assert raised.value.receipt is None


def test_what_is_no_receipt_is_said_to_be_none() -> None:
    with pytest.raises(ApiError, match="has no status"):
        run([answer(200, {"hello": "world"})])
