"""Runs of processors as answers have them."""

from typing import Annotated

from pydantic import Field

from app.api.shape.page import Page, page_example
from app.http.answer import Answer, Json, Time
from app.http.example import example
from app.receipts.status import TaskStatusEnum
from app.tracking.event import Status

Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, description="seconds")]
Share = Annotated[float, Field(ge=0, le=1)]
Day = Annotated[str, Field(json_schema_extra={"format": "date"})]

EXAMPLE: Json = {
    "processing_id": "0b3e9c4e-6f6f-4c6e-9d5f-3b0f6f1f7c11",
    "service_name": "waybill",
    "processor_name": "thumbnails_make",
    "reference": "tsk_0196b1c0a4e87d11b8a40c3f5e2d9a77/1",
    "status": "success",
    "status_note": None,
    "input_rows": 1000,
    "output_rows": 998,
    "started_at": "2026-01-31T12:00:01.000Z",
    "ended_at": "2026-01-31T12:00:13.500Z",
    "duration_s": 12.5,
    "namespace_id": "ns_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "task_id": "tsk_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "attempt": 1,
    "task": {
        "task_id": "tsk_0196b1c0a4e87d11b8a40c3f5e2d9a77",
        "task_type": "thumbnails_make",
        "status": "COMPLETED",
        "attempt": 1,
        "max_attempts": 3,
        "error_message": None,
        "created_at": "2026-01-31T12:00:00.000Z",
        "ended_at": "2026-01-31T12:00:13.507Z",
    },
}
STATISTIC_EXAMPLE: Json = {
    "service_name": "waybill",
    "processor_name": "thumbnails_make",
    "day": "2026-01-31",
    "runs": 120,
    "in_progress": 2,
    "successes": 115,
    "failures": 3,
    "failure_rate": 0.0254,
    "p50_s": 11.9,
    "p95_s": 31.2,
    "max_s": 48.0,
    "input_rows": 118000,
    "output_rows": 117420,
    "rows_per_second": 81.3,
}


class RunTask(Answer):
    """The receipt of a run's task as it is now: the run may be one of several attempts."""

    task_id: str
    task_type: str
    status: TaskStatusEnum
    attempt: Count
    max_attempts: Count
    error_message: str | None
    created_at: Time
    ended_at: Time | None


class Run(Answer):
    """One run of a processor. That of a worker names its task and attempt; `task` is null where
    the receipt is gone. `event` is there where the list was asked for it.
    """

    model_config = example(EXAMPLE)

    processing_id: str
    service_name: str
    processor_name: str
    reference: str
    status: Status
    status_note: str | None
    input_rows: Count | None
    output_rows: Count | None
    started_at: Time
    ended_at: Time | None
    duration_s: Seconds | None
    namespace_id: str | None
    task_id: str | None
    attempt: Count | None
    task: RunTask | None
    event: Json | None = None


class WholeRun(Run):
    """One run, with what it was given: null where that nests too deeply to be read."""

    model_config = example({**EXAMPLE, "event": {"inputs": ["a.png"]}})

    event: Json | None


class RunPage(Page[Run]):
    """A page of runs."""

    model_config = example(page_example(EXAMPLE))


class RunStatistic(Answer):
    """The runs of one processor that started on one day.

    Rates and durations are of those that have ended. `rows_per_second` is over the runs that said
    how many rows they had: their input, else their output.
    """

    model_config = example(STATISTIC_EXAMPLE)

    service_name: str
    processor_name: str
    day: Day
    runs: Count
    in_progress: Count
    successes: Count
    failures: Count
    failure_rate: Share | None
    p50_s: Seconds | None
    p95_s: Seconds | None
    max_s: Seconds | None
    input_rows: Count | None
    output_rows: Count | None
    rows_per_second: Annotated[float, Field(ge=0)] | None


class RunStatistics(Answer):
    """The newest day first; `since` and `until` say what was summed up."""

    model_config = example(
        {
            "results": [STATISTIC_EXAMPLE],
            "since": "2026-01-25T00:00:00.000Z",
            "until": "2026-02-01T00:00:00.000Z",
        }
    )

    results: list[RunStatistic]
    since: Time
    until: Time
