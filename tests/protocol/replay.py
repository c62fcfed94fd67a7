"""Does what the model does with the real stores, and tells what MongoDB holds afterwards."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from app.database import Document
from app.receipts.ledger import Ledger
from app.receipts.progress import begin
from app.receipts.receipt import Receipt as StoredReceipt
from app.receipts.status import TaskStatusEnum as S
from app.receipts.store import Ending, Holder
from app.receipts.transition import Move, literal
from app.receipts.write import BRIEF
from tests.integration.receipts import create
from tests.protocol import update as updates
from tests.protocol.protocol import Kind, Protocol, Step
from tests.protocol.state import Lease, Receipt, State
from tests.protocol.update import Request, Update

AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
# Long before any moment of this run, however slow it is.
LONG_AGO: Final = AT - timedelta(days=1)


@dataclass(slots=True)
class Replay:
    """One task, and what the processes around it remember: tokens, keepers, what they read."""

    ledger: Ledger
    effects: Collection[Document]
    task_id: str
    births: list[int] = field(default_factory=lambda: [0, 0])  # of each worker, for its name
    overdue: dict[int, StoredReceipt] = field(default_factory=dict)  # by worker
    sighted: Document = field(default_factory=dict)
    versions: int = 1

    @classmethod
    def begin(cls, ledger: Ledger, protocol: Protocol) -> "Replay":
        """A task that nobody has touched, and the effects that its steps are to have."""
        task_id = create(ledger, max_attempts=protocol.max_attempts).task_id
        effects = ledger.receipts.tasks.database["effects"]
        if protocol.steps:
            rows = [{"_id": f"{task_id}:{at}", "count": 0} for at in range(protocol.steps)]
            effects.insert_many(rows)
        return cls(ledger, effects, task_id)

    def make(self, step: Step) -> None:
        """The same step; what concerns neither MongoDB nor a process's memory is left out."""
        kind, worker = step.action.kind, step.action.worker
        self.versions += step.accepted and step.update is not updates.RENEW
        if kind in (Kind.RUN_OUT, Kind.CUT_OFF):
            self._set({"lease.expires_at": literal(LONG_AGO)})
        elif kind is Kind.LOSE_WORKER and worker is not None:
            self.births[worker] += 1
        elif kind is Kind.SIGNAL and worker is not None:
            self.overdue[worker] = self.ledger.receipts.get(self.task_id)
        elif kind is Kind.SEE_EXPIRED:
            self.sighted = self._stored(BRIEF)
        elif step.request.repeat and not step.accepted:
            pass  # `report` repeats itself
        elif step.update is not None:
            self._write(step.update, step.request, worker)

    def matches(self, state: State) -> bool:
        """Whether MongoDB holds what the model says; raises `AssertionError` where it does not."""
        stored = self._stored()
        assert stored["version"] == self.versions
        lease = stored["lease"]
        keepers: dict[str, int | None] = {self._keeper(index): index for index in (0, 1)}
        # The mark of a commit is the store's own.
        assert replace(state.receipt, last_commit=None) == Receipt(
            status=S(stored["status"]),
            attempt=stored["attempt"],
            returns=stored["returns"],
            lease=lease
            and Lease(
                token=int(lease["token"]),
                keeper=keepers.get(lease["keeper"]),
                runs=lease["expires_at"] > AT,
            ),
            last_token=stored["last_token"] and int(stored["last_token"]),
            to_end=stored["cancellation"] is not None,
            to_pause=stored["suspension"] is not None,
            checkpoint=stored["checkpoint"] or 0,
        )
        counted = self.effects.find({"_id": {"$regex": f"^{self.task_id}:"}}).sort("_id", 1)
        assert state.effects == tuple(row["count"] for row in counted)
        return True

    def _write(self, update: Update, request: Request, worker: int | None) -> None:
        by_update: dict[Update, Callable[[str, Request, int], object]] = {
            updates.CLAIM: self._claim,
            updates.COMMIT: self._commit,
            updates.FINISH: self._finish,
            updates.REQUEUE: self._requeue,
            updates.GIVE_BACK: self._give_back,
            updates.RENEW: self._renew,
            updates.RECORD_END: self._record_end,
        }
        if worker is None:
            self._write_around(update)
        else:
            by_update[update](str(request.token), request, worker)

    def _write_around(self, update: Update) -> None:
        ledger, task_id = self.ledger, self.task_id
        if update is updates.REAP:
            # `reap` itself in its two halves: others have come between them here.
            receipt = StoredReceipt.from_document(self.sighted)
            ledger.leases._reap_one(receipt, self.sighted["lease"])
        elif update is updates.ASK_END:
            ledger.cancellations.request(task_id, actor="key:ops", reason=None)
        elif update is updates.APPLY_END:
            ledger.cancellations.apply(task_id)
        elif update is updates.ASK_PAUSE:
            ledger.suspensions.request(task_id, actor="key:ops", reason=None, running=True)
        elif update is updates.APPLY_PAUSE:
            ledger.suspensions.apply(task_id)
        else:
            assert update in (updates.RESUME, updates.WITHDRAW)
            ledger.suspensions.resume(task_id, actor="key:ops")

    def _claim(self, token: str, _: Request, worker: int) -> None:
        holder = Holder(token, f"w{worker}", self._keeper(worker), job_id=_job(token))
        self.ledger.receipts.claim(self.task_id, holder)

    def _commit(self, token: str, request: Request, _: int) -> None:
        def store(session: ClientSession) -> None:
            self.effects.update_one(
                {"_id": f"{self.task_id}:{request.checkpoint - 1}"},
                {"$inc": {"count": 1}},
                session=session,
            )

        progress = begin(request.checkpoint, AT)
        self.ledger.receipts.report(
            self.task_id, token, progress, checkpoint=request.checkpoint, effect=store
        )

    def _finish(self, token: str, request: Request, worker: int) -> None:
        assert request.to is not None
        ending = Ending(request.to)
        self.ledger.receipts.finish(self.task_id, token, ending, worker=f"w{worker}")

    def _requeue(self, token: str, _: Request, worker: int) -> None:
        move = Move((S.PROCESSING,), S.PENDING, actor=f"worker:w{worker}")
        guard = {"lease.token": token}
        self.ledger.receipts.requeue(self.task_id, move, guard=guard, token=token)

    def _give_back(self, token: str, request: Request, worker: int) -> None:
        assert request.to is not None
        move = Move((S.PROCESSING,), request.to, actor=f"worker:w{worker}")
        self.ledger.receipts.give_back(self.task_id, token, move)

    def _renew(self, token: str, _: Request, worker: int) -> None:
        running = {_job(token): self.task_id}
        self.ledger.leases.renew(running, keeper=self._keeper(worker))

    def _record_end(self, _: str, __: Request, worker: int) -> None:
        self.ledger.cancellations.record_end(self.overdue[worker], outcome="ended")

    def _keeper(self, worker: int) -> str:
        return f"keeper-{worker}-{self.births[worker]}"

    def _set(self, fields: Document) -> None:
        self.ledger.receipts.tasks.update_one({"_id": self.task_id}, [{"$set": fields}])

    def _stored(self, projection: Document | None = None) -> Document:
        document = self.ledger.receipts.tasks.find_one({"_id": self.task_id}, projection)
        assert document is not None
        return document


def _job(token: str) -> str:
    """Celery's id of the message that the attempt with this token came by."""
    return f"job-{token}"
