"""The jobs of a chaos run, which its workers import through WAYBILL_IMPORTS.

What a job did is counted in MongoDB, under keys made of its task: an effect that happened twice
has a count of two.
"""

import ctypes
from collections.abc import Iterator
from threading import Event
from typing import Final

from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from app.database import Document
from app.errors import TransientError
from app.receipts.family import Children
from app.receipts.receipt import Piece
from workers import process
from workers.attempt import Attempt, FanOut
from workers.celery_app import app
from workers.job import Job

EFFECTS: Final = "chaos_effects"
STEPS: Final = "chaos_steps"
PLAIN: Final = "chaos_plain"
BLIND: Final = "chaos_blind"
FLAKY: Final = "chaos_flaky"
FAMILY: Final = "chaos_family"
CHILD: Final = "chaos_family.child"
TYPES: Final = (STEPS, PLAIN, BLIND, FLAKY, FAMILY)

# Faults alone are not to use them up.
ATTEMPTS: Final = 60
FAILURES: Final = 2  # of a flaky job, before it succeeds
STEP_S: Final = 0.15


def _effects(job: Job) -> Collection[Document]:
    return process.current(job.app).database[EFFECTS]


def _count(job: Job, attempt: Attempt, step: int, session: ClientSession) -> None:
    """Counts that the step happened, and in which attempt, in the caller's transaction."""
    _effects(job).update_one(
        {"_id": f"{attempt.task_id}/{step}"},
        {
            "$inc": {"count": 1},
            "$push": {"attempts": attempt.number},
            "$set": {"task_id": attempt.task_id},
        },
        upsert=True,
        session=session,
    )


@app.task(base=Job, bind=True, name=STEPS, max_attempts=ATTEMPTS, suspendable=True)
def steps(self: Job, attempt: Attempt) -> dict[str, int]:
    """As many steps as the input says; each effect is stored together with its checkpoint."""
    total = int(str(attempt.inputs[0]))
    pause = Event()
    for step in range(int(str(attempt.checkpoint or 0)), total):
        attempt.raise_if_aborted()
        pause.wait(STEP_S)
        _commit(self, attempt, step, total)
    return {"steps": total}


def _commit(job: Job, attempt: Attempt, step: int, total: int) -> None:
    attempt.commit(
        lambda session: _count(job, attempt, step, session), step + 1, total, checkpoint=step + 1
    )


@app.task(base=Job, bind=True, name=PLAIN, max_attempts=ATTEMPTS)
def plain(self: Job, attempt: Attempt) -> dict[str, int]:
    """Without a checkpoint: writes all its rows again at each attempt, under the same keys."""
    total = int(str(attempt.inputs[0]))
    pause = Event()
    for step in range(total):
        attempt.raise_if_aborted()
        pause.wait(STEP_S)
        row = {"task_id": attempt.task_id, "count": 1}
        _effects(self).replace_one({"_id": f"{attempt.task_id}/{step}"}, row, upsert=True)
        attempt.progress(step + 1, total)
    return {"steps": total}


@app.task(base=Job, bind=True, name=BLIND, max_attempts=ATTEMPTS)
def blind(self: Job, attempt: Attempt) -> dict[str, int]:
    """Sleeps in C for as many seconds as the input says and looks at nothing."""
    # PyDLL, unlike CDLL, keeps the GIL during the call: no thread of this process runs.
    ctypes.PyDLL(None).sleep(int(str(attempt.inputs[0])))
    return {"steps": 0}


@app.task(base=Job, bind=True, name=FLAKY, max_attempts=ATTEMPTS)
def flaky(self: Job, attempt: Attempt) -> dict[str, int]:
    """Fails for a passing reason in its first attempts, after its effect."""
    if attempt.checkpoint is None:
        attempt.commit(lambda session: _count(self, attempt, 0, session), 1, 1, checkpoint=True)
    if attempt.number <= FAILURES:
        raise TransientError("The weather is bad.")
    return {"steps": 1}


@app.task(
    base=Job, bind=True, name=CHILD, submittable=False, suspendable=True, max_attempts=ATTEMPTS
)
def child(self: Job, attempt: Attempt) -> dict[str, int]:
    """One piece of a family: one effect, and its value."""
    Event().wait(STEP_S)
    if attempt.checkpoint is None:
        attempt.commit(lambda session: _count(self, attempt, 0, session), 1, 1, checkpoint=True)
    return {"value": int(str(attempt.inputs[0]))}


def conclude_family(self: Job, attempt: Attempt, children: Children) -> dict[str, int]:
    """The sum of the children's values; the conclusion has an effect of its own."""
    if attempt.checkpoint is None:
        attempt.commit(lambda session: _count(self, attempt, 0, session), 1, 1, checkpoint=True)
    return {"children": children.total, **children.sums}


@app.task(
    base=Job,
    bind=True,
    name=FAMILY,
    conclude=conclude_family,
    max_attempts=ATTEMPTS,
    suspendable=True,
)
def family(self: Job, attempt: Attempt) -> FanOut:
    """Fans out into as many children as the input says."""
    return FanOut(CHILD, _pieces(int(str(attempt.inputs[0]))))


def _pieces(count: int) -> Iterator[Piece]:
    for ordinal in range(count):
        yield Piece(ordinal, [ordinal], 1)
