"""ProcessingEvent: its fields, its checks, its end."""

import uuid
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.tracking.event import ProcessingEvent

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def event(**changes: Any) -> ProcessingEvent:
    """A run in progress that passes every check."""
    named: dict[str, Any] = {
        "service_name": "ai_pipeline",
        "processor_name": "embedding_batch",
        "reference": "run-1",
    }
    return ProcessingEvent(**named | changes)


def test_the_fields_stand_in_the_documents_order_with_its_defaults() -> None:
    before = datetime.now(UTC)
    made = ProcessingEvent()
    assert [each.name for each in fields(made)] == [
        *("processing_id", "service_name", "processor_name", "reference", "event", "status"),
        *("status_note", "input_rows", "output_rows", "started_at", "ended_at"),
    ]
    assert uuid.UUID(made.processing_id).version == 4
    assert (made.service_name, made.processor_name, made.reference) == ("", "", "")
    assert made.event == {}
    assert made.status == "in-progress"
    assert (made.status_note, made.input_rows, made.output_rows, made.ended_at) == (None,) * 4
    assert before <= made.started_at <= datetime.now(UTC)
    assert made.started_at.utcoffset() == timedelta(0)


def test_no_two_share_an_id_or_a_payload() -> None:
    one, other = ProcessingEvent(), ProcessingEvent()
    assert one.processing_id != other.processing_id
    one.event["a"] = 1
    assert other.event == {}


def test_a_run_with_everything_it_needs_passes() -> None:
    event(input_rows=0, event={"key": "value"}).check_init()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(
            (name, wrong)
            for name in ("service_name", "processor_name")
            for wrong in ("", " ", None)
        ),
        ("reference", ""),
        ("reference", 7),
        ("processing_id", ""),
        ("event", [1]),
        ("event", None),
        ("status", "running"),
        ("input_rows", -1),
        ("input_rows", True),
        ("output_rows", 1.5),
        ("started_at", None),
        ("started_at", datetime(2026, 1, 1)),  # noqa: DTZ001 (what is refused)
        ("ended_at", NOON),  # of a run in progress
    ],
)
def test_what_is_missing_or_wrong_is_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        event(**{field: value}).check_init()


def test_an_end_goes_with_a_status_and_after_the_start() -> None:
    event(status="success", started_at=NOON, ended_at=NOON).check_init()
    with pytest.raises(ValueError, match="ended_at"):
        event(status="success").check_init()
    early = NOON - timedelta(seconds=1)
    with pytest.raises(ValueError, match="before started_at"):
        event(status="failure", started_at=NOON, ended_at=early).check_init()


@pytest.mark.parametrize("status", ["in-progress", "success", "failure"])
def test_three_statuses_are_supported(status: Any) -> None:
    event(status=status).check_status()


@pytest.mark.parametrize("status", ["", "SUCCESS", "done", None])
def test_no_other_status_is(status: Any) -> None:
    with pytest.raises(ValueError, match="in-progress"):
        event(status=status).check_status()


@pytest.mark.parametrize("status", ["success", "failure"])
def test_a_job_ends_with_a_note_and_a_count(status: Any) -> None:
    run = event()
    assert run.is_finished() is False
    run.finish_job(status, "all done", 3)
    assert run.is_finished() is True
    assert (run.status, run.status_note, run.output_rows) == (status, "all done", 3)
    assert run.ended_at is not None
    assert run.ended_at.utcoffset() == timedelta(0)
    assert run.started_at <= run.ended_at <= datetime.now(UTC)
    run.check_init()


def test_note_and_count_may_be_left_out() -> None:
    run = event()
    run.finish_job(status="success")
    assert (run.status_note, run.output_rows) == (None, None)


def test_a_job_ends_once() -> None:
    run = event()
    run.finish_job("success", "first")
    with pytest.raises(ValueError, match="has ended already"):
        run.finish_job("failure", "second")
    assert (run.status, run.status_note) == ("success", "first")


@pytest.mark.parametrize("status", ["in-progress", "ok", None])
def test_only_an_end_ends_a_job(status: Any) -> None:
    run = event()
    with pytest.raises(ValueError, match="status"):
        run.finish_job(status)
    with pytest.raises(ValueError, match="output_rows"):
        run.finish_job("success", output_rows=-1)
    assert not run.is_finished()
    assert run.ended_at is None


def test_a_clock_that_was_set_back_ends_no_job_before_its_start() -> None:
    run = event(started_at=datetime.now(UTC) + timedelta(hours=1))
    run.finish_job("success")
    assert run.ended_at == run.started_at
