"""A fleet of real processes over real servers: workers, a control worker, Beat, the broker."""

import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from celery import Celery
from pymongo.database import Database

from app.broker import CONTROL_QUEUE, JOB_QUEUES, JOBS_QUEUE
from app.database import Document
from app.embedded.program import Program
from app.receipts.ledger import Ledger
from app.receipts.receipt import NewTask, Receipt
from app.receipts.status import TERMINAL, TaskStatusEnum
from app.receipts.transition import NOW, later
from tests.integration.jobs_for_tests import EFFECTS, GATES
from tests.integration.worker.celery_process import (
    ProcessContainer,
    ValkeyContainer,
    WorkerContainer,
    log_file,
)
from tests.polling import poll
from tests.stack import clean_environment

ROOT: Final = Path(__file__).parents[3]
# As `waybill up` starts them; Celery's own command takes twice as long to start the same.
WORKER: Final = (sys.executable, "-m", "workers")
BEAT: Final = (sys.executable, "-m", "workers.clock_app")
# What other installations start: `celery` finds the same app.
CELERY: Final = (sys.executable, "-m", "celery", "--app", "workers.celery_app", "worker")
SIDE: Final = ("--pool", "threads", "--concurrency", "4")
PREFORK: Final = ("--pool", "prefork", "--concurrency")
SLOTS: Final = 2  # of a job worker of the fleet
LAST_WORDS: Final = 1_000  # characters of a log

LEASE_S: Final = 5  # of which four heartbeats may be late on a busy machine
# A lease, the reaper's and the republisher's ticks, and room for a machine with little time.
MOVED_ON_WITHIN_S: Final = 90.0


def environment(mongo_url: str, database: str, redis_url: str) -> dict[str, str]:
    """What the workers of the tests are told."""
    return clean_environment(
        {
            "WAYBILL_MONGO_URL": mongo_url,
            "WAYBILL_MONGO_DATABASE": database,
            "WAYBILL_REDIS_URL": redis_url,
            "WAYBILL_LEASE_S": str(LEASE_S),
            "WAYBILL_HEARTBEAT_S": "1",
            "WAYBILL_RETRY_BACKOFF_S": "0.1",
            "WAYBILL_REPUBLISH_AFTER_S": "1",
            "WAYBILL_IMPORTS": "tests.integration.jobs_for_tests",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
        }
    )


def jobs_worker(
    name: str,
    folder: Path,
    env: Mapping[str, str],
    *,
    queue: str = ",".join(JOB_QUEUES),
    slots: int = SLOTS,
    overrides: Sequence[str] = (),
) -> WorkerContainer:
    """A worker of the queues, not ready yet; `overrides` of Celery's settings are `key=value`."""
    return _worker(name, queue, (*PREFORK, str(slots)), folder, env, overrides)


def control_worker(folder: Path, env: Mapping[str, str]) -> WorkerContainer:
    """The worker of the control queue, not ready yet."""
    return _worker("control", CONTROL_QUEUE, SIDE, folder, env)


def beat(folder: Path, env: Mapping[str, str], name: str = "beat") -> ProcessContainer:
    """Beat with the schedule of ours."""
    schedule = str(folder / f"{name}-schedule")
    line = ("--schedule", schedule, "--pidfile=", "--loglevel", "INFO")
    program = Program(name, (*BEAT, *line), env, folder, log_file(folder, name))
    return ProcessContainer(program, prompt="is starting")


def _worker(
    name: str,
    queue: str,
    pool: tuple[str, ...],
    folder: Path,
    env: Mapping[str, str],
    overrides: Sequence[str] = (),
) -> WorkerContainer:
    start = CELERY if pool is SIDE else WORKER  # one of each, since both are used
    line = ("--queues", queue, *pool, "--hostname", f"{name}@%h", "--loglevel", "INFO")
    flags = ("--task-events", "--without-gossip", "--without-mingle")
    argv = (*start, *line, *flags, *(("--", *overrides) if overrides else ()))
    program = Program(name, argv, env, folder, log_file(folder, name))
    return WorkerContainer(program, queue=queue)


@dataclass(frozen=True, slots=True)
class Fleet:
    """All processes; tests may kill any of them, `revive` brings back what is missing."""

    broker: ValkeyContainer
    workers: tuple[WorkerContainer, ...]
    control: WorkerContainer
    beat: ProcessContainer
    folder: Path
    env: Mapping[str, str]

    def everybody(self) -> tuple[ProcessContainer, ...]:
        return (self.broker, self.control, self.beat, *self.workers)

    def revive(self) -> None:
        """Starts what has ended, wakes what is frozen, and returns when all are ready."""
        for container in self.everybody():
            if container.status != "running":
                container.restart()
            container.kill("SIGCONT")
        for container in self.everybody():
            container.ready()

    def last_words(self) -> str:
        """Who runs, and the end of what each has logged, for a test that failed."""
        return "\n".join(
            f"{each.name} ({each.status}): …{each.logs()[-LAST_WORDS:]}"
            for each in self.everybody()
        )

    @contextmanager
    def worker(
        self,
        name: str,
        *,
        queue: str,
        slots: int,
        env: Mapping[str, str] | None = None,
        overrides: Sequence[str] = (),
    ) -> Iterator[WorkerContainer]:
        """One more worker within the block, ready, of a queue that nobody else serves."""
        worker = jobs_worker(
            name,
            self.folder,
            {**self.env, **(env or {})},
            queue=queue,
            slots=slots,
            overrides=overrides,
        )
        try:
            worker.ready()
            yield worker
        finally:
            worker.teardown()

    def worker_of(self, receipt_worker: str) -> WorkerContainer:
        """The process of the worker that a receipt names."""
        (found,) = (each for each in self.workers if receipt_worker.startswith(f"{each.name}@"))
        return found


@dataclass(frozen=True, slots=True)
class Desk:
    """A test's view: it submits tasks, opens gates, and reads what happened."""

    fleet: Fleet
    ledger: Ledger
    database: Database[Document]
    celery: Celery

    def submit(
        self, task_type: str, *inputs: object, max_attempts: int = 3, queue: str = JOBS_QUEUE
    ) -> Receipt:
        """One task, stored and sent."""
        return self.ledger.submission.submit([_new(task_type, inputs, max_attempts, queue)])[0]

    def create(self, task_type: str, *inputs: object, max_attempts: int = 3) -> Receipt:
        """One task, stored only."""
        return self.ledger.receipts.create([_new(task_type, inputs, max_attempts, JOBS_QUEUE)])[0]

    def ended(self, receipt: Receipt, *, within_s: float = MOVED_ON_WITHIN_S) -> Receipt:
        """The receipt once it is terminal."""

        def found() -> Receipt | None:
            now = self.ledger.receipts.get(receipt.task_id)
            return now if now.status in TERMINAL else None

        try:
            return poll(found, description=f"{receipt.task_type} ends", within_s=within_s)
        except AssertionError as exc:
            exc.add_note(f"{self.document(receipt)}")
            exc.add_note(self.fleet.last_words())
            raise

    def effects(self, receipt: Receipt, what: str | None = None) -> list[Document]:
        """What the jobs of a task did, in order."""
        query = {"task_id": receipt.task_id} | ({} if what is None else {"what": what})
        return list(self.database[EFFECTS].find(query, {"_id": 0}).sort("$natural", 1))

    def began(self, receipt: Receipt, what: str = "began", *, times: int = 1) -> list[Document]:
        """The effects once there are so many."""
        return poll(
            lambda: found if len(found := self.effects(receipt, what)) >= times else [],
            description=f"{receipt.task_type}: '{what}' {times} times",
            within_s=MOVED_ON_WITHIN_S,
        )

    def open(self, gate: str) -> None:
        """Lets every job on that waits at the gate, now and later."""
        self.database[GATES].insert_one({"_id": gate})

    def reached(self, receipt: Receipt, status: TaskStatusEnum) -> Receipt:
        """The receipt once it has the status."""
        return poll(
            lambda: (now := self.ledger.receipts.get(receipt.task_id)).status is status and now,
            description=f"{receipt.task_type} is {status}",
            within_s=MOVED_ON_WITHIN_S,
        )

    def leave(self) -> None:
        """Lets every job on, so that one test that failed does not take the next one's workers."""
        open_tasks = {"status": {"$nin": [status.value for status in TERMINAL]}}
        for row in self.ledger.receipts.tasks.find(open_tasks, {"_id": 1}):
            self.database[GATES].update_one({"_id": row["_id"]}, {"$set": {}}, upsert=True)

    def document(self, receipt: Receipt) -> Document:
        found = self.ledger.receipts.tasks.find_one({"_id": receipt.task_id})
        assert found is not None
        return found

    def history(self, receipt: Receipt) -> list[Document]:
        return self.ledger.receipts.history(receipt.task_id, namespace_id="ns_test")

    def steps(self, receipt: Receipt) -> list[tuple[str, int]]:
        """Status and attempt of each entry of the history."""
        return [(entry["to"], entry["attempt"]) for entry in self.history(receipt)]

    def kill(self, receipt: Receipt) -> None:
        """Asks for the end of a task, as the API does."""
        self.ledger.cancellations.request(receipt.task_id, actor="key:test", reason="dear")
        self.ledger.publisher.tell("waybill.kill", receipt.task_id)

    def suspend(self, receipt: Receipt) -> Receipt:
        """Asks for a pause of a task that checkpoints, as the API does."""
        suspensions = self.ledger.suspensions
        suspensions.request(receipt.task_id, actor="key:test", reason="later", running=True)
        return suspensions.apply(receipt.task_id)

    def resume(self, receipt: Receipt) -> None:
        """Ends the pause of a SUSPENDED task, as the API does."""
        resumed = self.ledger.suspensions.resume(receipt.task_id, actor="key:test")
        assert resumed is not None
        assert resumed.status == "PENDING"
        self.ledger.submission.send([resumed])

    def lease_lasts(self, receipt: Receipt, duration: timedelta) -> None:
        """Lets the lease end that long from now, as nobody who could renew it is awake."""
        expires_at = {"$set": {"lease.expires_at": later(duration)}}
        query = {"_id": receipt.task_id, "lease": {"$ne": None}}
        assert self.ledger.receipts.tasks.update_one(query, [expires_at]).matched_count == 1

    def has_expired(self, receipt: Receipt) -> bool:
        """Whether somebody holds a lease that has ended, by MongoDB's clock."""
        query = {"_id": receipt.task_id, "$expr": {"$lt": ["$lease.expires_at", NOW]}}
        return self.ledger.receipts.tasks.count_documents({**query, "lease": {"$ne": None}}) == 1


def gate_name() -> str:
    """A gate that nothing has opened."""
    return secrets.token_hex(6)


def _new(task_type: str, inputs: tuple[Any, ...], max_attempts: int, queue: str) -> NewTask:
    return NewTask(
        task_type=task_type,
        namespace_id="ns_test",
        inputs=list(inputs),
        actor="key:test",
        additional_data={},
        max_attempts=max_attempts,
        queue=queue,
    )
