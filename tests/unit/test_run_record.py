"""What the row of an attempt says: its name, its inputs, and how it went."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app.receipts.receipt import Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.store import Ending
from workers import outcome
from workers.outcome import Outcome
from workers.run_record import MOST_INPUT_BYTES, payload, reference

AT = datetime(2026, 1, 1, tzinfo=UTC)
DOCUMENT: dict[str, Any] = {
    "_id": "tsk_1",
    "namespace_id": "ns_1",
    "task_type": "thumbnails_make",
    "queue": "waybill.jobs",
    "status": "PROCESSING",
    "inputs": ["a", 1],
    "outputs": None,
    "additional_data": {},
    "error_message": None,
    "created_at": AT,
    "updated_at": AT,
    "started_at": AT,
    "ended_at": None,
    "attempt": 2,
    "max_attempts": 3,
    "version": 4,
    "progress": None,
    "cancellation": None,
    "lease": None,
    "parent_task_id": None,
    "fan_out": None,
    "job_id": None,
}
RECEIPT = Receipt.from_document(DOCUMENT)


def test_no_two_runs_of_a_task_have_the_same_name() -> None:
    parent = replace(RECEIPT, fanned_out=True)
    names = [
        reference(each)
        for each in (
            replace(RECEIPT, attempt=1),
            RECEIPT,
            replace(parent, conclusions=1),
            replace(parent, conclusions=2),
        )
    ]
    assert names == [
        "tsk_1/1",
        "tsk_1/2",
        "tsk_1/2/conclusion",
        "tsk_1/2/2/conclusion",
    ]


def test_inputs_stand_in_the_row_as_the_receipt_has_them() -> None:
    assert payload(RECEIPT) == {
        "namespace_id": "ns_1",
        "task_id": "tsk_1",
        "attempt": 2,
        "inputs": ["a", 1],
    }


@pytest.mark.parametrize(
    ("flawed", "reason"),
    [
        ("\0", "NUL"),
        ({"key": "\ud800"}, "surrogate"),
        ([float("nan")], "NaN"),
        ("x" * MOST_INPUT_BYTES, "the receipt has it"),
    ],
)
def test_an_input_that_postgresql_cannot_hold_is_left_out_by_name(
    flawed: object, reason: str
) -> None:
    told = payload(replace(RECEIPT, inputs=["a", flawed, {"b": 1}]))
    assert told["inputs"] == ["a", None, {"b": 1}]
    left_out = told["left_out"]
    assert isinstance(left_out, dict)
    assert list(left_out) == ["1"]
    assert reason in left_out["1"]


def test_inputs_that_are_too_long_together_are_kept_as_far_as_there_is_room() -> None:
    half = "x" * (MOST_INPUT_BYTES // 2 - 100)
    told = payload(replace(RECEIPT, inputs=[half, half, half, "end"]))
    assert told["inputs"] == [half, half, None, "end"]


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        (Ending(TaskStatusEnum.COMPLETED, outputs=[1]), Outcome(True, None, 7)),
        (
            Ending(TaskStatusEnum.SKIPPED, outputs=[{"reason": "no need"}]),
            Outcome(True, "skipped: no need", 7),
        ),
        (Ending(TaskStatusEnum.CANCELED), Outcome(False, "canceled", 7)),
        (Ending(TaskStatusEnum.FAILED, error_message="no"), Outcome(False, "no", 7)),
    ],
)
def test_an_ending_tells_success_and_note(ending: Ending, expected: Outcome) -> None:
    assert outcome.of_ending(ending, 7) == expected
