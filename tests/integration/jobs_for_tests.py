"""Jobs that tests run on real workers, which import this module through WAYBILL_IMPORTS.

What a job did is counted in MongoDB: an effect is one document, written each time it happens.
A job that has to be caught in the middle waits at a gate, which the test opens.
"""

import ctypes
import os
import signal
from collections.abc import Iterator
from functools import partial
from threading import Event
from typing import Any, Final

from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from app.database import Document
from app.errors import PermanentError, TransientError
from app.receipts.family import Children
from app.receipts.receipt import Piece
from tests.integration import sudden_death
from workers import process
from workers.attempt import Attempt, FanOut
from workers.celery_app import app
from workers.exit import SkippedError
from workers.job import Job

sudden_death.watch()

EFFECTS: Final = "test_effects"
GATES: Final = "test_gates"

LOOK_S: Final = 0.02
GIVE_UP_LOOKS: Final = 6_000  # two minutes: no job outlives its test for long
STUCK_S: Final = 120


class BusyError(Exception):
    """An error of the job's own."""


def _collection(job: Job, name: str) -> Collection[Document]:
    return process.current(job.app).database[name]


def effect(job: Job, attempt: Attempt, what: str, session: ClientSession | None = None) -> None:
    """Counts that this happened, where and in which attempt."""
    _collection(job, EFFECTS).insert_one(
        {
            "task_id": attempt.task_id,
            "what": what,
            "attempt": attempt.number,
            "worker": attempt.worker,
            "pid": os.getpid(),
        },
        session=session,
    )


def wait_at(job: Job, gate: str) -> None:
    """Returns when the test has opened the gate, or all gates of this task."""
    gates, pause = _collection(job, GATES), Event()
    assert job.request.args  # the task's id, which a test that failed leaves as a gate
    opened = {"_id": {"$in": [gate, job.request.args[0]]}}
    for _ in range(GIVE_UP_LOOKS):
        if gates.find_one(opened) is not None:
            return
        pause.wait(LOOK_S)
    raise AssertionError(f"nobody opened the gate '{gate}'")


@app.task(base=Job, bind=True, name="test_count")
def count(self: Job, attempt: Attempt) -> dict[str, Any]:
    """Counts itself and returns its inputs."""
    effect(self, attempt, "ran")
    return {"inputs": attempt.inputs, "n": len(attempt.inputs)}


@app.task(base=Job, bind=True, name="test_gated")
def gated(self: Job, attempt: Attempt) -> str:
    """Runs once the gate named by the one input is open, keeping nothing of an earlier attempt."""
    effect(self, attempt, "began")
    wait_at(self, str(attempt.inputs[0]))
    effect(self, attempt, "ended")
    return f"attempt {attempt.number}"


@app.task(base=Job, bind=True, name="test_flaky", transient_errors=(BusyError,))
def flaky(self: Job, attempt: Attempt) -> int:
    """Fails transiently until the attempt that the first input names."""
    effect(self, attempt, "ran")
    if attempt.number < int(str(attempt.inputs[0])):
        if attempt.inputs[1:] == ["own"]:
            raise BusyError("the printer is busy\nand will be for a while")
        raise TransientError("The server is away.")
    return attempt.number


@app.task(base=Job, bind=True, name="test_broken")
def broken(self: Job, attempt: Attempt) -> None:
    """Fails for good in the way that the input names."""
    effect(self, attempt, "ran")
    how = attempt.inputs[0]
    if how == "permanent":
        raise PermanentError("The file is no image.\nSecret details follow.")
    if how == "surrogate":
        raise ValueError("no such file: b\udcff.txt")
    if how == "skip":
        raise SkippedError("There is nothing to do.")
    if how == "exit":
        raise SystemExit(3)
    try:
        raise KeyError("hidden cause")
    except KeyError as exc:
        raise ValueError("bad row\nat line 7") from exc


@app.task(base=Job, bind=True, name="test_odd_output")
def odd_output(self: Job, attempt: Attempt) -> Any:
    """Returns what the receipt cannot hold."""
    effect(self, attempt, "ran")
    odd: dict[object, Any] = {"set": {1, 2}, "object": object(), "int": 2**70, "key": {1: 2}}
    return odd[attempt.inputs[0]]


@app.task(base=Job, bind=True, name="test_patient")
def patient(self: Job, attempt: Attempt) -> str:
    """Looks for its cancellation at every turn, in the way that the input names."""
    effect(self, attempt, "began")
    pause = Event()
    for _ in range(GIVE_UP_LOOKS):
        if attempt.inputs[:1] == ["self"]:
            if self.is_aborted():
                return "saw it and went on"
        else:
            attempt.raise_if_aborted()
        pause.wait(LOOK_S)
    raise AssertionError("nobody canceled the task")


@app.task(base=Job, bind=True, name="test_steady")
def steady(self: Job, attempt: Attempt) -> int:
    """Works, looks for its cancellation and reports, turn by turn, as a batch does."""
    total = int(str(attempt.inputs[0]))
    pause = Event()
    for done in range(1, total + 1):
        pause.wait(LOOK_S)
        attempt.raise_if_aborted()
        attempt.progress(done, total)
    return total


@app.task(base=Job, bind=True, name="test_deaf")
def deaf(self: Job, attempt: Attempt) -> int:
    """Holds the GIL for as many seconds as the input says."""
    effect(self, attempt, "began")
    # PyDLL, unlike CDLL, keeps the GIL during the call: no thread of this process runs.
    ctypes.PyDLL(None).sleep(int(str(attempt.inputs[0])))
    effect(self, attempt, "ended")
    return attempt.number


@app.task(base=Job, bind=True, name="test_suicide")
def suicide(self: Job, attempt: Attempt) -> int:
    """Kills its own child process in the first attempt."""
    effect(self, attempt, "ran")
    if attempt.number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return attempt.number


@app.task(base=Job, bind=True, name="test_suicide_in_step")
def suicide_in_step(self: Job, attempt: Attempt) -> int:
    """The first attempt's process is killed within the transaction of a step."""

    def step(session: ClientSession) -> None:
        effect(self, attempt, "step", session)
        if attempt.number == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    attempt.commit(step, 1, 1, checkpoint=1)
    return attempt.number


@app.task(base=Job, bind=True, name="test_resuming")
def resuming(self: Job, attempt: Attempt) -> list[int]:
    """Counts to the input, writing a checkpoint at each; it fails once at half of it."""
    total = int(str(attempt.inputs[0]))
    done = int(str(attempt.checkpoint or 0))
    for number in range(done + 1, total + 1):
        effect(self, attempt, f"step {number}")
        attempt.progress(number, total, checkpoint=number)
        if number == total // 2 and attempt.number == 1:
            raise TransientError("Half of it is done.")
    return [done, total]


@app.task(base=Job, bind=True, name="test_stepping", suspendable=True)
def stepping(self: Job, attempt: Attempt) -> list[int]:
    """Counts to the first input, each step committed with its report, from the checkpoint on.

    The second input names the gates to wait at, by the step that comes after.
    """
    total = int(str(attempt.inputs[0]))
    gates = attempt.inputs[1] if len(attempt.inputs) > 1 else None
    done = int(str(attempt.checkpoint or 0))
    pause = Event()
    for number in range(done + 1, total + 1):
        if isinstance(gates, dict) and str(number) in gates:
            effect(self, attempt, f"waits before {number}")
            wait_at(self, gates[str(number)])
        pause.wait(LOOK_S)
        step = partial(effect, self, attempt, f"step {number}")
        attempt.commit(step, number, total, checkpoint=number)
    return [done, total]


@app.task(base=Job, bind=True, name="test_stuck")
def stuck(self: Job, attempt: Attempt) -> int:
    """Is lost in a call into C in its first attempt, and returns in any other."""
    effect(self, attempt, "began")
    if attempt.number == 1:
        ctypes.PyDLL(None).sleep(STUCK_S)
        effect(self, attempt, "woke")
    return attempt.number


@app.task(base=Job, bind=True, name="test_spread.piece", submittable=False)
def spread_piece(self: Job, attempt: Attempt) -> dict[str, int]:
    """One piece: reports, waits at its gate if it has one, fails if it is told to."""
    value, gate = attempt.inputs
    effect(self, attempt, f"piece {value}")
    if gate == "fail":
        raise PermanentError(f"Piece {value} is broken.")
    if gate is not None:
        wait_at(self, str(gate))
        attempt.raise_if_aborted()
    attempt.progress(10, 10)
    return {"value": int(str(value))}


def conclude_spread(self: Job, attempt: Attempt, children: Children) -> dict[str, Any]:
    """Counts the conclusion, and fails where a piece failed.

    A third input is its gate, or "transient" for a failure at the first time.
    """
    how = attempt.inputs[2] if len(attempt.inputs) > 2 else None
    if how == "transient" and attempt.receipt.conclusions == 1:
        raise TransientError("The ledger is away.")
    if how not in (None, "transient"):
        effect(self, attempt, "concluding")
        wait_at(self, str(how))
    effect(self, attempt, "concluded")
    if children.unfinished:
        raise PermanentError(f"{children.unfinished} failed: {children.first_error}")
    return {"pieces": children.total, **children.sums}


@app.task(base=Job, bind=True, name="test_spread", conclude=conclude_spread)
def spread(self: Job, attempt: Attempt) -> FanOut:
    """Fans out into as many pieces as the first input says; the second is their gate."""
    effect(self, attempt, "planned")
    pieces = int(str(attempt.inputs[0]))
    gate = attempt.inputs[1] if len(attempt.inputs) > 1 else None
    return FanOut("test_spread.piece", _pieces(pieces, gate))


def _pieces(count: int, gate: object) -> Iterator[Piece]:
    for ordinal in range(count):
        yield Piece(ordinal, [ordinal, gate], 10)
    if gate == "unplannable":
        raise PermanentError("The plan cannot be made.")
