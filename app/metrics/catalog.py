"""Every metric by its name: type, labels, and what it means. docs/operators.md has the table."""

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["gauge", "counter", "histogram"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One metric; a counter's samples have `_total` at the end of its name."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str


UP: Final = Entry("waybill_up", "gauge", ("component",), "1 while the component is well, else 0")
BUILD: Final = Entry("waybill_build_info", "gauge", ("version",), "always 1")
OPEN_TASKS: Final = Entry(
    "waybill_open_tasks", "gauge", ("status", "task_type"), "tasks that have not ended"
)
RECEIPTS: Final = Entry("waybill_receipts", "gauge", (), "receipts stored, ended ones included")
QUEUE_MESSAGES: Final = Entry(
    "waybill_queue_messages", "gauge", ("queue",), "messages that wait on the broker"
)
WORKERS: Final = Entry(
    "waybill_workers", "gauge", ("queue",), "workers of the queue that were heard lately"
)
WORKER_SLOTS: Final = Entry(
    "waybill_worker_slots", "gauge", ("queue",), "tasks that those workers run at once"
)
BEAT_AGE: Final = Entry(
    "waybill_beat_tick_age_seconds", "gauge", (), "time since Beat's last tick was heard"
)
EVENT_LAG: Final = Entry(
    "waybill_event_lag_seconds",
    "gauge",
    ("step",),
    "age of the oldest news without deliveries (`expansion`), and of the oldest mailbox that is "
    "due and not served (`dispatch`)",
)
TRANSITIONS: Final = Entry(
    "waybill_task_transitions",
    "counter",
    ("status", "task_type"),
    "tasks that came into the status; of tasks moved many at once the type is `other`",
)
ATTEMPTS: Final = Entry(
    "waybill_task_attempts", "counter", ("task_type",), "attempts that a worker began"
)
RETRIES: Final = Entry(
    "waybill_task_retries",
    "counter",
    ("task_type",),
    "attempts that failed for a passing reason, with another one to come",
)
EXPIRIES: Final = Entry(
    "waybill_lease_expiries",
    "counter",
    ("status", "task_type"),
    "leases that ran out, their worker lost; the status is what the task came to",
)
KILLS: Final = Entry(
    "waybill_kills",
    "counter",
    ("outcome", "task_type"),
    "tasks that ended after somebody asked for it, by how: waiting, running, forced, worker_lost, "
    "finished_first, other",
)
WAIT: Final = Entry(
    "waybill_task_wait_seconds", "histogram", ("task_type",), "from submission to the first attempt"
)
RUN: Final = Entry(
    "waybill_task_run_seconds",
    "histogram",
    ("task_type",),
    "from the first attempt's start to the end, of tasks that ended one by one",
)
WHOLE: Final = Entry(
    "waybill_task_whole_seconds",
    "histogram",
    ("task_type",),
    "from submission to the end, of tasks that ended one by one",
)
DELIVERIES: Final = Entry(
    "waybill_delivery_attempts",
    "counter",
    ("outcome", "channel"),
    "attempts of deliveries that ended, by outcome: delivered, or what they failed of",
)
RUN_ROWS: Final = Entry(
    "waybill_run_rows",
    "counter",
    ("outcome",),
    "runs of attempts on their way to PostgreSQL: stored, refused by it, or dropped, since the "
    "disk in between was full or could not be written",
)
RUNS_WAITING: Final = Entry(
    "waybill_runs_waiting_bytes", "gauge", (), "runs that wait on the workers' disks for PostgreSQL"
)
REQUESTS: Final = Entry(
    "waybill_http_requests",
    "counter",
    ("method", "route", "status"),
    "requests that this API process answered; the route is its template",
)
REQUEST_TIME: Final = Entry(
    "waybill_http_request_seconds",
    "histogram",
    ("method", "route"),
    "time to the end of the answer, event streams and held reads included",
)

CATALOG: Final = (
    UP,
    BUILD,
    OPEN_TASKS,
    RECEIPTS,
    QUEUE_MESSAGES,
    WORKERS,
    WORKER_SLOTS,
    BEAT_AGE,
    EVENT_LAG,
    TRANSITIONS,
    ATTEMPTS,
    RETRIES,
    EXPIRIES,
    KILLS,
    WAIT,
    RUN,
    WHOLE,
    DELIVERIES,
    RUN_ROWS,
    RUNS_WAITING,
    REQUESTS,
    REQUEST_TIME,
)
