"""A database as real operations leave it, and what it takes to break a rule in it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from pymongo.database import Database
from redis import Redis

from app.database import Document
from app.deliveries.delivery import Target, new_delivery
from app.deliveries.derivation import events_of
from app.receipts.cache import KEY_PREFIX
from app.receipts.ledger import Ledger
from app.receipts.outbox import Entry, Untold
from app.receipts.receipt import Piece, Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.store import Ending, Holder
from app.receipts.transition import Move
from app.resources.extraction import ExtractionStore, FailedDocument, NewDocument, Origin
from app.webhooks.channel import Channel
from tests.integration.receipts import (
    COMPLETED,
    brief,
    claim,
    create,
    expired,
    holder,
    limit_tasks,
    new_task,
    stored,
)

# Longer than the margin of the tests, and much longer than a machine may stall.
AGE: Final = timedelta(hours=3)
QUOTA_NAMESPACE: Final = "ns_quota"
RETRY: Final = Move(
    (TaskStatusEnum.PROCESSING,), TaskStatusEnum.PENDING, actor="worker:w1", reason="busy"
)
FIRST: Final = Entry(1, None, TaskStatusEnum.PENDING, datetime(2026, 1, 1, tzinfo=UTC), 0)
_TIMES: Final = (
    "created_at",
    "updated_at",
    "started_at",
    "ended_at",
    "published_at",
    "untold_since",
)


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
        times = {name: document[name] - AGE for name in _TIMES if document.get(name)}
        return self.write(task_id, [{"$set": {**times, "history": aged}}])

    def mailbox(self, mailbox_id: str, **fields: Any) -> str:
        """A mailbox, not due unless a field says so."""
        row = {"channel": "webhook", "rings": 1, **fields}
        self.database["mailboxes"].update_one({"_id": mailbox_id}, {"$set": row}, upsert=True)
        return mailbox_id

    def delivery(self, mailbox_id: str, **fields: Any) -> str:
        """A delivery to a webhook, pending unless a field says so."""
        task = Untold("tsk_a", "ns_test", "test_job", None, {}, {}, None, None, 0, (FIRST,))
        ((event, _),) = events_of(task)
        target = Target(mailbox_id, Channel.WEBHOOK, mailbox_id)
        row = new_delivery(event, event.to_bytes(), target, at=self.now()) | fields
        self.database["deliveries"].insert_one(row)
        return str(row["_id"])

    def now(self) -> datetime:
        options = self.database.codec_options
        now: datetime = self.database.command("hello", codec_options=options)["localTime"]
        return now

    def long_ago(self) -> datetime:
        return self.now() - AGE

    def waiting(self) -> str:
        return create(self.ledger).task_id

    def held(self, namespace_id: str = QUOTA_NAMESPACE, *, max_running: int) -> list[str]:
        """As many tasks as may run in a namespace with this quota, and one that waits for room."""
        limit_tasks(self.ledger, namespace_id, max_running=max_running)
        task = new_task(namespace_id=namespace_id, queue="test.quota")
        tasks = [task] * (max_running + 1)
        receipts = self.ledger.submission.submit(tasks)
        assert [receipt.is_held for receipt in receipts] == [False] * max_running + [True]
        return [receipt.task_id for receipt in receipts]

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
