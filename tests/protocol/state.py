"""What the model knows of the world: one receipt, its messages, two workers and a reaper."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from app.receipts.status import TERMINAL, TaskStatusEnum


class Phase(StrEnum):
    """What a worker's job process does with the task."""

    IDLE = "has nothing of it"
    CALLED = "has its message, and claims it"
    RUNNING = "runs its code"
    UNREPORTED = "runs its code, and has stored an effect that it did not report"
    ENDING = "its code is over, and its end is to be written"


RUNS_CODE: Final = frozenset({Phase.RUNNING, Phase.UNREPORTED})
HOLDS: Final = RUNS_CODE | {Phase.ENDING}


@dataclass(frozen=True, slots=True)
class Lease:
    """`keeper` is the worker that renews it, None where that one is gone for good."""

    token: int
    keeper: int | None
    runs: bool = True  # not expired, by the clock of MongoDB


@dataclass(frozen=True, slots=True)
class Receipt:
    """What MongoDB holds: the document of the task, as far as the protocol reads or writes it."""

    status: TaskStatusEnum = TaskStatusEnum.PENDING
    attempt: int = 0
    returns: int = 0
    lease: Lease | None = None
    last_token: int | None = None
    last_commit: tuple[int, int] | None = None  # the mark of the last one: its token and step
    to_end: bool = False  # a cancellation is stored
    to_pause: bool = False  # a suspension is stored
    checkpoint: int = 0  # steps done

    @property
    def token(self) -> int | None:
        return self.lease.token if self.lease else None

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL

    def has_another_attempt(self, max_attempts: int) -> bool:
        return self.attempt - self.returns < max_attempts


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker: its one job process, and the parent process that keeps leases and ends children."""

    phase: Phase = Phase.IDLE
    token: int | None = None  # what it believes to hold, or has claimed without an answer
    done: int = 0  # steps done, as its code believes
    unheard: bool = False  # it has sent a commit, and repeats it for want of an answer
    end: TaskStatusEnum | None = None  # while ENDING: where the task is to go
    faultless: bool = False  # while ENDING towards PENDING: given back, and no attempt spent
    doomed: int | None = None  # the token whose process the parent is ending
    struck: bool = False  # that process is gone
    stopped: bool = False  # by SIGSTOP, parent and process

    @property
    def runs_code(self) -> bool:
        return self.phase in RUNS_CODE

    @property
    def holds(self) -> bool:
        """Whether its process has claimed the task, however long ago it lost it."""
        return self.phase in HOLDS

    def without_process(self) -> "Worker":
        """The same parent with a new process, which has nothing to do."""
        return Worker(doomed=self.doomed, struck=self.doomed is not None, stopped=self.stopped)

    def freed(self) -> "Worker":
        """The same process, done with the task."""
        return Worker(doomed=self.doomed, struck=self.struck, stopped=self.stopped)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the reaper read of a task whose lease had run out, before it writes."""

    token: int
    to_end: bool
    has_another_attempt: bool


@dataclass(frozen=True, slots=True)
class State:
    """The world at one moment. The last three say what happened, and no process reads them."""

    receipt: Receipt = field(default_factory=Receipt)
    messages: int = 1  # on the broker
    workers: tuple[Worker, Worker] = (Worker(), Worker())
    sighting: Sighting | None = None
    effects: tuple[int, ...] = ()  # how often each step's effect was stored
    stale_effect: bool = False  # one was stored by a token that held no lease
    lost: frozenset[int] = frozenset()  # tokens whose lease the reaper took

    def with_worker(self, index: int, worker: Worker) -> "State":
        first, second = self.workers
        workers = (worker, second) if index == 0 else (first, worker)
        # Twice as fast as `replace`, and made for half of all steps.
        return State(
            self.receipt,
            self.messages,
            workers,
            self.sighting,
            self.effects,
            self.stale_effect,
            self.lost,
        )
