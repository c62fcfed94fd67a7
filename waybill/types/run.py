"""Runs of processors, and how they went."""

from typing import Literal, NotRequired, TypeAlias, TypedDict

from waybill.types.json import JsonObject, Status

RunStatus: TypeAlias = Literal["in-progress", "success", "failure"]


class RunTask(TypedDict):
    """The receipt of a run's task as it is now."""

    task_id: str
    task_type: str
    status: Status
    attempt: int
    max_attempts: int
    error_message: str | None
    created_at: str
    ended_at: str | None


class _Run(TypedDict):
    """What is said of every run."""

    processing_id: str
    service_name: str
    processor_name: str
    reference: str
    status: RunStatus
    status_note: str | None
    input_rows: int | None
    output_rows: int | None
    started_at: str
    ended_at: str | None
    duration_s: float | None
    namespace_id: str | None
    task_id: str | None
    attempt: int | None
    task: RunTask | None  # null where the receipt is gone, too


class Run(_Run):
    """One run of a processor; that of a worker names its task and attempt.

    `event` is there where it was asked for, and null where it is long.
    """

    event: NotRequired[JsonObject | None]


class WholeRun(_Run):
    """One run, with what it was given: null where that nests too deeply to be read."""

    event: JsonObject | None


class RunStatistic(TypedDict):
    """The runs of one processor that started on one day (UTC).

    Rates and durations are of those that have ended, and null where none has.
    """

    service_name: str
    processor_name: str
    day: str
    runs: int
    in_progress: int
    successes: int
    failures: int
    failure_rate: float | None
    p50_s: float | None
    p95_s: float | None
    max_s: float | None
    input_rows: int | None
    output_rows: int | None
    rows_per_second: float | None


class RunStatistics(TypedDict):
    """The newest day first, of the runs that started between the two times."""

    results: list[RunStatistic]
    since: str
    until: str
