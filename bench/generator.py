"""Receipts as months of use leave them: `python -m bench.generator --count 10000000 --mongo-url …`

They come in the order of their creation, over `SPAN`, spread over namespaces and task types by
Zipf's law, nine of ten completed, some of these with children. The open ones are SUSPENDED: any
other open status a running stack would move on. Nobody is told of them, and none is past its
retention; `waybill audit verify` finds no fault in them.
"""

import argparse
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate, islice
from typing import Final

from pymongo import MongoClient
from pymongo.collection import Collection

from app.database import Document
from app.receipts.draft import new_document
from app.receipts.index import INDEXES
from app.receipts.receipt import NewTask
from app.receipts.status import TERMINAL, TaskStatusEnum
from app.resources.namespace import NamespaceStore

SPAN: Final = timedelta(days=60)
RETENTION: Final = timedelta(days=90)
GRACE: Final = timedelta(seconds=30)  # of a cancellation
SEED: Final = 8
PER_WRITE: Final = 2_000
WRITERS: Final = 2
TYPES: Final = tuple(f"type_{number:02}" for number in range(24))
QUEUE: Final = "waybill.generated"
CHILDREN: Final = 10  # of each task that has some: of one of PARENT_EVERY, if it was completed
PARENT_EVERY: Final = 200
SHARES: Final = {
    TaskStatusEnum.COMPLETED: 92.0,
    TaskStatusEnum.FAILED: 4.0,
    TaskStatusEnum.CANCELED: 2.0,
    TaskStatusEnum.SKIPPED: 0.5,
    TaskStatusEnum.SUSPENDED: 1.5,
}


@dataclass(frozen=True, slots=True)
class Share:
    """A namespace, and its part of all receipts beside the others' parts."""

    namespace_id: str
    weight: float


@dataclass(frozen=True, slots=True)
class Life:
    """How a task went, and when; a SUSPENDED one was paused at `ended_at`."""

    status: TaskStatusEnum
    created_at: datetime
    started_at: datetime
    ended_at: datetime


def zipf(count: int) -> list[float]:
    """Weights of `count` things, the first of which is the commonest."""
    return [1 / rank for rank in range(1, count + 1)]


def receipts(shares: Sequence[Share], count: int, *, until: datetime) -> Iterator[Document]:
    """`count` receipts and a few more, the oldest first, the newest of them at `until`."""
    rng = random.Random(SEED)
    ids = [share.namespace_id for share in shares]
    by_namespace = list(accumulate(share.weight for share in shares))
    by_type = list(accumulate(zipf(len(TYPES))))
    step = SPAN / count
    for number in range(count):
        at = until - SPAN + step * (number + rng.random())
        (namespace_id,) = rng.choices(ids, cum_weights=by_namespace)
        (task_type,) = rng.choices(TYPES, cum_weights=by_type)
        task = NewTask(
            task_type=task_type,
            namespace_id=namespace_id,
            inputs=[f"s3://pictures/{number:09}.png"],
            actor="key:generator",
            additional_data={"team": f"team_{number % 50}", "request_id": f"req_{number:032x}"},
            max_attempts=3,
            queue=QUEUE,
        )
        life = _life(_milliseconds(at), rng)
        if number % PARENT_EVERY == 0 and life.status is TaskStatusEnum.COMPLETED:
            yield from _family(task, life, rng)
        else:
            yield _lived(task, life, rng)


def fill(
    tasks: Collection[Document], shares: Sequence[Share], count: int, *, until: datetime
) -> int:
    """Stores the receipts, with the product's indexes on them, and counts what it stored."""
    tasks.create_indexes(INDEXES)
    left = receipts(shares, count, until=until)
    stored = 0
    with ThreadPoolExecutor(WRITERS) as pool:
        writes: list[Future[int]] = []
        while some := list(islice(left, PER_WRITE)):
            if len(writes) >= 2 * WRITERS:
                stored += writes.pop(0).result()
            writes.append(pool.submit(_insert, tasks, some))
        return stored + sum(write.result() for write in writes)


def _insert(tasks: Collection[Document], some: list[Document]) -> int:
    return len(tasks.insert_many(some, ordered=False).inserted_ids)


def _life(at: datetime, rng: random.Random) -> Life:
    (status,) = rng.choices(list(SHARES), list(SHARES.values()))
    started_at = _milliseconds(at + timedelta(seconds=rng.expovariate(1 / 20)))
    ended_at = _milliseconds(started_at + timedelta(seconds=rng.lognormvariate(2, 2)))
    return Life(status, at, started_at, ended_at)


def _family(task: NewTask, life: Life, rng: random.Random) -> Iterator[Document]:
    """A task that left its work to children, and these, at the same times."""
    parent = _lived(task, life, rng)
    yield parent | {
        "fan_out": {"units": CHILDREN, "conclusions": 1, "called_at": life.ended_at},
    }
    piece = replace(task, actor=f"task:{parent['_id']}")
    for ordinal in range(CHILDREN):
        place = {"parent_task_id": parent["_id"], "plan": 1, "ordinal": ordinal, "units": 1}
        yield _lived(piece, life, rng) | place


def _lived(task: NewTask, life: Life, rng: random.Random) -> Document:
    """The receipt of a task that had that life."""
    task_id = f"tsk_{int(life.created_at.timestamp() * 1000):012x}{rng.getrandbits(80):020x}"
    document = new_document(task_id, task, at=life.created_at)
    history = document["history"]
    history += [_entry(history[-1], TaskStatusEnum.PROCESSING, life.started_at)]
    history += [_entry(history[-1], life.status, life.ended_at)]
    del document["untold_since"]
    document |= {
        "status": life.status.value,
        "started_at": life.started_at,
        "updated_at": life.ended_at,
        "attempt": 1,
        "version": 3,
        "told": len(history),
        "job_id": task_id.removeprefix("tsk_"),
    }
    if life.status in TERMINAL:
        document |= {"ended_at": life.ended_at, "expire_at": life.ended_at + RETENTION}
    return document | _outcome(task, life, rng)


def _outcome(task: NewTask, life: Life, rng: random.Random) -> Document:
    """What only receipts of that status have."""
    asked = {"requested_at": life.ended_at, "actor": task.actor, "reason": None}
    if life.status is TaskStatusEnum.FAILED:
        flaw = f"the picture of {task.inputs[0]} is {rng.random():.3f} too dark"
        return {"error_message": flaw}
    if life.status is TaskStatusEnum.COMPLETED:
        return {"outputs": [{"width": 640, "height": 480}]}
    if life.status is TaskStatusEnum.CANCELED:
        ended = {"deadline_at": life.ended_at + GRACE, "outcome": "its job stopped"}
        return {"cancellation": asked | ended}
    if life.status is TaskStatusEnum.SUSPENDED:
        return {"suspension": asked}
    return {}


def _entry(before: Document, to: TaskStatusEnum, at: datetime) -> Document:
    moved = {"seq": before["seq"] + 1, "from": before["to"], "to": to.value, "at": at}
    return {**before, **moved, "actor": "worker:generated", "attempt": 1, "worker": "generated"}


def _namespaces(store: NamespaceStore, count: int) -> list[Share]:
    names = [f"generated-{number + 1}" for number in range(count)]
    found = [store.find(name) or store.create(name, None, {}) for name in names]
    weights = zipf(count)
    return [Share(each.namespace_id, weights[i]) for i, each in enumerate(found)]


def _milliseconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def main() -> None:
    """Fills a database whose API can then list what is in it."""
    parser = argparse.ArgumentParser(prog="python -m bench.generator", description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="receipts without a parent")
    parser.add_argument("--mongo-url", required=True)
    parser.add_argument("--database", default="waybill")
    parser.add_argument("--namespaces", type=int, default=8, help="called generated-1 and so on")
    given = parser.parse_args()
    client: MongoClient[Document] = MongoClient(given.mongo_url, tz_aware=True)
    with client:
        database = client[given.database]
        shares = _namespaces(NamespaceStore(database), given.namespaces)
        began_s = time.perf_counter()
        stored = fill(database["tasks"], shares, given.count, until=datetime.now(UTC))
        rate = stored / (time.perf_counter() - began_s)
        print(f"{stored:,} receipts in {len(shares)} namespaces, {rate:,.0f} a second")


if __name__ == "__main__":
    main()
