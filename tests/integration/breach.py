"""Each rule that a verification knows, broken once in each way, by writing past the stores."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from pymongo.database import Database
from redis import Redis

from app.audit.violation import Rule
from app.database import Document
from app.receipts.cache import KEY_PREFIX
from app.receipts.cancellation import UNREACHABLE
from app.receipts.ledger import Ledger
from app.receipts.receipt import Piece, Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.store import Ending, Holder
from app.receipts.transition import Move
from app.resources.extraction import ExtractionStore, FailedDocument, NewDocument, Origin
from tests.integration.receipts import COMPLETED, brief, claim, create, expired, holder, stored

# Longer than the margin of the tests, and much longer than a machine may stall.
AGE: Final = timedelta(hours=3)
RETRY: Final = Move(
    (TaskStatusEnum.PROCESSING,), TaskStatusEnum.PENDING, actor="worker:w1", reason="busy"
)
_TIMES: Final = ("created_at", "updated_at", "started_at", "ended_at", "published_at")


@dataclass(frozen=True, slots=True)
class Scene:
    """The stores of one test, with ways to make receipts and to write past the rules."""

    ledger: Ledger
    database: Database[Document]
    redis: Redis

    def write(self, task_id: str, update: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> str:
        """Writes to a receipt as no code of ours does, and forgets its copy."""
        self.ledger.receipts.tasks.update_one({"_id": task_id}, update)
        self.redis.delete(KEY_PREFIX + task_id)
        return task_id

    def set(self, task_id: str, **fields: Any) -> str:
        """The same with fields; `__` in a name stands for a dot."""
        return self.write(task_id, {"$set": {k.replace("__", "."): v for k, v in fields.items()}})

    def push(self, task_id: str, from_: str, to: str, *, attempt: int) -> str:
        """Adds an entry to the history, and makes its status and attempt the task's."""
        seq = len(stored(self.ledger, task_id)["history"]) + 1
        entry = {"seq": seq, "from": from_, "to": to, "at": self.now(), "attempt": attempt}
        sets = {"status": to, "attempt": attempt}
        update = {"$push": {"history": entry}, "$set": sets, "$inc": {"version": 1}}
        return self.write(task_id, update)

    def age(self, task_id: str) -> str:
        """Moves all that happened to a task into the past."""
        back = {"$subtract": ["$$entry.at", int(AGE.total_seconds() * 1000)]}
        entries = {"$mergeObjects": ["$$entry", {"at": back}]}
        aged = {"$map": {"input": "$history", "as": "entry", "in": entries}}
        document = stored(self.ledger, task_id)
        times = {name: document[name] - AGE for name in _TIMES if document[name] is not None}
        return self.write(task_id, [{"$set": {**times, "history": aged}}])

    def now(self) -> datetime:
        options = self.database.codec_options
        now: datetime = self.database.command("hello", codec_options=options)["localTime"]
        return now

    def long_ago(self) -> datetime:
        return self.now() - AGE

    def waiting(self) -> str:
        return create(self.ledger).task_id

    def running(self) -> str:
        return claim(self.ledger, create(self.ledger))[0].task_id

    def completed(self) -> str:
        return self.ended(*claim(self.ledger, create(self.ledger)))

    def ended(self, receipt: Receipt, by: Holder, ending: Ending = COMPLETED) -> str:
        assert self.ledger.receipts.finish(receipt.task_id, by.token, ending, worker=by.worker)
        return receipt.task_id

    def canceled(self) -> str:
        return self.ledger.killer.kill(self.waiting(), actor="key:ops", reason=None).task_id

    def suspended(self) -> str:
        task_id = self.waiting()
        suspensions = self.ledger.suspensions
        suspensions.request(task_id, actor="key:ops", reason=None, running=False)
        return suspensions.apply(task_id).task_id

    def retried(self) -> str:
        """Completed at the second attempt."""
        receipt, by = claim(self.ledger, create(self.ledger))
        guard = {"lease.token": by.token}
        assert self.ledger.receipts.requeue(receipt.task_id, RETRY, guard=guard, token=by.token)
        return self.ended(*claim(self.ledger, receipt))

    def lost(self) -> str:
        """Completed after its first worker was lost."""
        receipt = create(self.ledger)
        claim(brief(self.ledger), receipt)
        return self.ended(*claim(self.ledger, expired(self.ledger, receipt.task_id)))

    def planned(self, count: int = 2) -> tuple[Receipt, Holder, list[Receipt]]:
        """A parent that has its lease still, and its children."""
        parent, by = claim(self.ledger, create(self.ledger))
        pieces = [Piece(ordinal, [ordinal], 1) for ordinal in range(count)]
        families = self.ledger.families
        families.create_children(parent, "test_piece", pieces, at=datetime.now(UTC))
        return parent, by, families.waiting(parent.task_id)

    def family(self, count: int = 2) -> tuple[str, list[Receipt]]:
        """A parent that fanned out, and its children, which wait."""
        parent, by, children = self.planned(count)
        assert self.ledger.families.fan_out(parent, by.token, units=count)
        return parent.task_id, children

    def concluded(self) -> tuple[str, list[str]]:
        """A parent that completed after its children."""
        parent_id, children = self.family()
        ids = [self.ended(*claim(self.ledger, child)) for child in children]
        return self.conclude(parent_id), ids

    def conclude(self, parent_id: str) -> str:
        by = holder()
        concluding = self.ledger.families.claim_conclusion(parent_id, by)
        assert concluding is not None
        return self.ended(concluding, by)

    def document(self, number: int = 1, task_id: str | None = None) -> str:
        """What an attempt of a task made of an object."""
        vector = np.ones(2, dtype=np.float32)
        made = NewDocument("col_a", f"obj_{number}", "text", vector, {}, {})
        self._write(number, task_id, [made], [])
        return self._last("documents")

    def failure(self, number: int = 1, task_id: str | None = None) -> str:
        """What an attempt of a task could not make of an object."""
        failed = FailedDocument(f"obj_{number}", "col_a", "extraction", "it is torn")
        self._write(number, task_id, [], [failed])
        return self._last("failed_documents")

    def _write(
        self,
        number: int,
        task_id: str | None,
        documents: list[NewDocument],
        failures: list[FailedDocument],
    ) -> None:
        origin = Origin("ns_test", "bkt_a", "btch_a", task_id or self.running(), 1)
        store = ExtractionStore(self.database)
        store.write(origin, [f"obj_{number}"], documents, failures)

    def _last(self, collection: str) -> str:
        row = self.database[collection].find_one({}, {"_id": 1}, sort=[("$natural", -1)])
        assert row is not None
        return str(row["_id"])

    def twin(self, collection: str, effect_id: str, twin_id: str) -> str:
        """Stores an effect a second time."""
        row = self.database[collection].find_one({"_id": effect_id})
        assert row is not None
        self.database[collection].insert_one({**row, "_id": twin_id})
        return twin_id

    def edit(self, collection: str, effect_id: str, update: Document) -> str:
        self.database[collection].update_one({"_id": effect_id}, update)
        return effect_id

    def copy(self, task_id: str, **fields: str | int) -> str:
        """Writes fields of a task's copy."""
        assert self.redis.exists(KEY_PREFIX + task_id)
        for name, value in fields.items():
            self.redis.hset(KEY_PREFIX + task_id, name, value)
        return task_id

    def says(self, task_id: str, **fields: Any) -> str:
        """Makes a task's copy say something else."""
        body = self.redis.hget(KEY_PREFIX + task_id, "body")
        assert body is not None
        return self.copy(task_id, body=json.dumps({**json.loads(body), **fields}))

    def forget(self, task_id: str, *, copy: bool = True) -> str:
        """Deletes a receipt, and its copy where there is one."""
        assert self.ledger.receipts.tasks.delete_one({"_id": task_id}).deleted_count == 1
        if copy:
            self.redis.delete(KEY_PREFIX + task_id)
        return task_id


def _illegal_first_step(scene: Scene) -> str:
    task_id = scene.suspended()
    return scene.set(
        task_id,
        history=[{"seq": 1, "from": None, "to": "SUSPENDED", "at": scene.now(), "attempt": 0}],
    )


def _second_end(scene: Scene) -> str:
    task_id = scene.completed()
    scene.push(task_id, "COMPLETED", "FAILED", attempt=1)
    ended_at = stored(scene.ledger, task_id)["history"][-1]["at"]
    return scene.set(task_id, ended_at=ended_at)


def _third_of_two(scene: Scene) -> str:
    return scene.set(scene.retried(), max_attempts=1)


def _too_many_conclusions(scene: Scene) -> str:
    return scene.set(scene.concluded()[0], fan_out__conclusions=4)


def _shared_token(scene: Scene) -> str:
    one, other = sorted([scene.running(), scene.running()])
    token = stored(scene.ledger, one)["lease"]["token"]
    return scene.set(other, lease__token=token, last_token=token)


def _lease_of_another(scene: Scene) -> Document:
    lease: Document = stored(scene.ledger, scene.running())["lease"]
    return {**lease, "token": "of-nobody-else"}


def _late_retry(scene: Scene) -> str:
    """Due long ago: nobody sent its message."""
    receipt, by = claim(scene.ledger, create(scene.ledger))
    guard = {"lease.token": by.token}
    assert scene.ledger.receipts.requeue(receipt.task_id, RETRY, guard=guard, token=by.token)
    scene.set(receipt.task_id, not_before=scene.long_ago())
    return scene.age(receipt.task_id)


def _unsent(scene: Scene) -> str:
    return scene.set(scene.age(scene.waiting()), published_at=None)


def idle_cancellation(scene: Scene) -> str:
    task_id = scene.waiting()
    scene.ledger.cancellations.request(task_id, actor="key:ops", reason=None)
    return scene.set(task_id, cancellation__requested_at=scene.long_ago())


def _late_force(scene: Scene) -> str:
    task_id = scene.running()
    scene.ledger.cancellations.request(task_id, actor="key:ops", reason=None)
    return scene.set(task_id, cancellation__deadline_at=scene.long_ago())


def _idle_suspension(scene: Scene) -> str:
    task_id = scene.waiting()
    scene.ledger.suspensions.request(task_id, actor="key:ops", reason=None, running=False)
    return scene.set(task_id, suspension__requested_at=scene.long_ago())


def _uncalled_parent(scene: Scene) -> str:
    return scene.set(scene.family(0)[0], fan_out__called_at=scene.long_ago())


def _untold_child(scene: Scene) -> str:
    parent_id, children = scene.family(1)
    child_id = claim(scene.ledger, children[0])[0].task_id
    scene.ledger.cancellations.request(parent_id, actor="key:ops", reason=None)
    scene.set(parent_id, cancellation__requested_at=scene.long_ago())
    return scene.age(child_id)


def _orphan(scene: Scene) -> str:
    parent_id, children = scene.family(1)
    scene.forget(parent_id)
    return children[0].task_id


def _young_orphan(scene: Scene) -> str:
    parent_id, (child_id, other_id) = scene.concluded()
    scene.forget(parent_id)
    scene.forget(other_id)
    return child_id


def _outliving_child(scene: Scene) -> str:
    """Its parent failed while it planned, and ended nothing."""
    parent, by, children = scene.planned(1)
    scene.age(scene.ended(parent, by, Ending(TaskStatusEnum.FAILED)))
    return children[0].task_id


def _conclusion_beside_a_child(scene: Scene) -> str:
    parent_id, children = scene.family(1)
    move = Move((TaskStatusEnum.PROCESSING,), TaskStatusEnum.COMPLETED, actor="worker:w1")
    assert scene.ledger.receipts.move(parent_id, move, sets={}, guard={})
    return children[0].task_id


def _child_that_ended_later(scene: Scene) -> str:
    child_id = scene.concluded()[1][0]
    late = scene.now() + AGE
    return scene.set(child_id, ended_at=late, updated_at=late, history__2__at=late)


def _missing_child(scene: Scene, index: int) -> str:
    parent_id, children = scene.concluded()
    scene.forget(children[index])
    return parent_id


def _stale(scene: Scene, collection: str, written_at: str) -> str:
    """Written by the attempt whose worker was lost, long after that."""
    make = scene.document if collection == "documents" else scene.failure
    effect_id = make(2, scene.lost())
    return scene.edit(collection, effect_id, {"$set": {written_at: scene.now() + AGE}})


def _unreceipted(scene: Scene) -> str:
    task_id = scene.completed()
    effect_id = scene.document(2, task_id)
    scene.forget(task_id)
    return effect_id


def _foreign_key(scene: Scene) -> str:
    task_id = scene.waiting()
    scene.redis.delete(KEY_PREFIX + task_id)
    scene.redis.set(KEY_PREFIX + task_id, "a text", ex=60)
    return task_id


def _endless(scene: Scene) -> str:
    task_id = scene.completed()
    assert scene.redis.persist(KEY_PREFIX + task_id)
    return task_id


Breach = Callable[[Scene], str]

# Each breaks its rule and no other, and returns the id of what breaks it.
BREACHES: Final[Mapping[Rule, Sequence[Breach]]] = {
    Rule.UNREADABLE: (
        lambda s: s.write(s.waiting(), {"$unset": {"version": 1}}),
        lambda s: s.set(s.waiting(), status="RESTING"),
        lambda s: s.set(s.waiting(), history=[{"seq": 1}]),
        lambda s: s.edit("documents", s.document(2), {"$unset": {"attempt": 1}}),
        lambda s: s.edit("failed_documents", s.failure(2), {"$set": {"failed_at": "today"}}),
    ),
    Rule.ILLEGAL_TRANSITION: (
        lambda s: s.push(s.waiting(), "PENDING", "ACTIVE", attempt=0),
        _illegal_first_step,
    ),
    Rule.TERMINAL_CHANGED: (
        _second_end,
        lambda s: s.set(s.completed(), status="FAILED"),
        lambda s: s.set(s.completed(), updated_at=s.now() + AGE, outputs=["forged"]),
    ),
    Rule.HISTORY_GAP: (
        lambda s: s.set(s.completed(), history__1__seq=3),
        lambda s: s.set(s.canceled(), history__1__from="SUSPENDED"),
        lambda s: s.set(s.waiting(), status="DRAFT"),
        lambda s: s.set(s.waiting(), history=[]),
    ),
    Rule.TIME_BACKWARDS: (lambda s: s.set(s.completed(), history__1__at=s.long_ago()),),
    Rule.VERSION_BEHIND: (lambda s: s.set(s.completed(), version=2),),
    Rule.ATTEMPT_GAP: (
        lambda s: s.set(s.completed(), attempt=2),
        lambda s: s.set(s.retried(), history__3__attempt=3),
        lambda s: s.set(s.retried(), history__2__attempt=2),
        lambda s: s.set(s.completed(), returns=1),
    ),
    Rule.TOO_MANY_ATTEMPTS: (_third_of_two, _too_many_conclusions),
    Rule.END_MARKS: (
        lambda s: s.write(s.completed(), {"$unset": {"expire_at": 1}}),
        lambda s: s.set(s.completed(), ended_at=None),
        lambda s: s.set(s.completed(), ended_at=s.now() + AGE),
        lambda s: s.set(s.waiting(), ended_at=s.now()),
        lambda s: s.set(s.running(), expire_at=s.now() + AGE),
    ),
    Rule.UNASKED_STOP: (
        lambda s: s.set(s.canceled(), cancellation=None),
        lambda s: s.set(s.suspended(), suspension=None),
    ),
    Rule.OUTCOME_MISSING: (
        lambda s: s.set(s.canceled(), cancellation__outcome=None),
        lambda s: s.set(s.canceled(), cancellation__outcome=UNREACHABLE),
    ),
    Rule.TWO_LEASES: (
        _shared_token,
        lambda s: s.push(s.running(), "PROCESSING", "PROCESSING", attempt=2),
        lambda s: s.set(s.running(), last_token="of-another"),
    ),
    Rule.LEASE_ON_IDLE_TASK: (
        lambda s: s.set(s.completed(), lease=_lease_of_another(s), last_token="of-nobody-else"),
        lambda s: s.set(s.waiting(), lease=_lease_of_another(s), last_token="of-nobody-else"),
    ),
    Rule.RUNNING_WITHOUT_LEASE: (lambda s: s.set(s.running(), lease=None),),
    Rule.OVERDUE: (
        lambda s: s.set(s.running(), lease__expires_at=s.long_ago()),
        lambda s: s.age(s.waiting()),
        _unsent,
        _late_retry,
        idle_cancellation,
        _late_force,
        _idle_suspension,
        _uncalled_parent,
        _untold_child,
    ),
    Rule.ORPHAN_CHILD: (_orphan, _young_orphan),
    Rule.CHILD_OUTLIVES_PARENT: (_outliving_child,),
    Rule.CONCLUDED_EARLY: (_conclusion_beside_a_child, _child_that_ended_later),
    Rule.CHILDREN_INCOMPLETE: (lambda s: _missing_child(s, 0), lambda s: _missing_child(s, 1)),
    Rule.STALE_EFFECT: (
        lambda s: _stale(s, "documents", "updated_at"),
        lambda s: _stale(s, "failed_documents", "failed_at"),
        lambda s: s.edit("documents", s.document(2), {"$set": {"attempt": 2}}),
        lambda s: s.edit("documents", s.document(2), {"$set": {"attempt": 0}}),
    ),
    Rule.DOUBLE_EFFECT: (
        lambda s: s.twin("documents", s.document(2), "doc_0"),
        lambda s: s.twin("failed_documents", s.failure(2), "fail_z"),
    ),
    Rule.EFFECT_WITHOUT_RECEIPT: (_unreceipted,),
    Rule.COPY_AHEAD: (lambda s: s.copy(s.running(), version=9),),
    Rule.COPY_DIFFERS: (
        lambda s: s.says(s.running(), status="COMPLETED"),
        lambda s: s.says(s.completed(), attempt=2),
        lambda s: s.copy(s.completed(), terminal=0),
        lambda s: s.copy(s.completed(), namespace="ns_other"),
        lambda s: s.copy(s.completed(), body="{"),
        _foreign_key,
    ),
    Rule.COPY_WITHOUT_RECEIPT: (
        lambda s: s.forget(s.waiting(), copy=False),
        lambda s: s.forget(s.completed(), copy=False),
    ),
    Rule.COPY_WITHOUT_END: (_endless,),
}
