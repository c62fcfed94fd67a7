"""Whatever two workers, a reaper and a canceler do, in any order: the contract holds."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.audit.allowance import Allowance
from app.audit.verify import verify
from app.receipts.ledger import Ledger
from app.receipts.progress import begin
from app.receipts.receipt import Piece, Receipt
from app.receipts.status import TERMINAL, TaskStatusEnum
from app.receipts.store import Ending, Holder
from app.receipts.transition import Move
from tests.integration.receipts import (
    at_once,
    brief,
    check_document,
    check_step,
    create,
    holder,
    stored,
)

AT = datetime(2026, 1, 1, tzinfo=UTC)
RETRY = Move((TaskStatusEnum.PROCESSING,), TaskStatusEnum.PENDING, actor="worker", reason="busy")


@dataclass
class Worker:
    """A worker that goes on with the last lease it got, however long ago it lost it."""

    ledger: Ledger
    task_id: str
    name: str
    by: Holder = field(default_factory=lambda: holder("nobody"))
    told_ended: list[str] = field(default_factory=list)

    def claim(self, _: int) -> None:
        self._claim(self.ledger)

    def claim_briefly(self, _: int) -> None:
        self._claim(brief(self.ledger))

    def _claim(self, ledger: Ledger) -> None:
        by = holder(self.name)
        if ledger.receipts.claim(self.task_id, by) is not None:
            self.by = by

    def conclude(self, _: int) -> None:
        by = holder(self.name)
        families = self.ledger.families
        if families.is_complete(self.task_id) and families.claim_conclusion(self.task_id, by):
            self.by = by

    def report(self, done: int) -> None:
        self.ledger.receipts.report(
            self.task_id, self.by.token, begin(done, AT), checkpoint={"done": done}
        )

    def renew(self, _: int) -> None:
        self.ledger.leases.renew({self.by.job_id: self.task_id}, keeper=self.by.keeper)

    def finish(self, choice: int) -> None:
        receipt = self.ledger.receipts.get(self.task_id)
        # A job says CANCELED when somebody asked for it.
        statuses = TERMINAL if receipt.cancellation else TERMINAL - {TaskStatusEnum.CANCELED}
        ending = Ending(sorted(statuses)[choice % len(statuses)], outputs=[choice])
        ended = self.ledger.receipts.finish(self.task_id, self.by.token, ending, worker=self.name)
        if ended is not None:
            self.told_ended.append(ended.status)

    def give_back(self, choice: int) -> None:
        """What a job does after a transient error: it counts its attempts itself."""
        receipt = self.ledger.receipts.get(self.task_id)
        if receipt.fanned_out or not receipt.has_another_attempt:
            return
        guard = {"lease.token": self.by.token}
        delay = timedelta(hours=choice % 2)
        self.ledger.receipts.requeue(self.task_id, RETRY, guard=guard, delay=delay)

    def pause(self, choice: int) -> None:
        """What a job does at a checkpoint: set aside, or given back by a worker that stops."""
        status = (TaskStatusEnum.SUSPENDED, TaskStatusEnum.PENDING)[choice % 2]
        if self.ledger.receipts.get(self.task_id).fanned_out:
            return  # a conclusion has no checkpoint
        move = Move((TaskStatusEnum.PROCESSING,), status, actor="worker:w0")
        self.ledger.receipts.give_back(self.task_id, self.by.token, move)

    def fan_out(self, count: int) -> None:
        parent = self.ledger.receipts.get(self.task_id)
        if parent.fanned_out or parent.lease_token != self.by.token:
            return
        pieces = [Piece(ordinal, [ordinal], 1) for ordinal in range(count % 3)]
        self.ledger.families.create_children(parent, "test_piece", pieces, at=AT)
        self.ledger.families.fan_out(parent, self.by.token, units=len(pieces))


@dataclass
class Others:
    """Everybody who is no worker."""

    ledger: Ledger
    task_id: str

    def reap(self, _: int) -> None:
        self.ledger.leases.reap()

    def cancel(self, choice: int) -> None:
        actor = f"key:{choice}"
        self.ledger.cancellations.request(self.task_id, actor=actor, reason=None)

    def apply(self, _: int) -> None:
        self.ledger.cancellations.apply(self.task_id)

    def sweep(self, _: int) -> None:
        for task_id in self.ledger.cancellations.unapplied():
            self.ledger.cancellations.apply(task_id)

    def suspend(self, choice: int) -> None:
        self.ledger.suspensions.request(
            self.task_id, actor="key:ops", reason=None, running=bool(choice % 2)
        )

    def apply_suspension(self, _: int) -> None:
        self.ledger.suspensions.apply(self.task_id)

    def resume(self, _: int) -> None:
        self.ledger.suspensions.resume(self.task_id, actor="key:ops")

    def roll_up(self, _: int) -> None:
        self.ledger.families.roll_up(self.task_id, interval=timedelta(0))

    def end_children(self, _: int) -> None:
        for child in self.ledger.families.waiting(self.task_id):
            by = holder("piece")
            if self.ledger.receipts.claim(child.task_id, by):
                ending = Ending(TaskStatusEnum.COMPLETED)
                self.ledger.receipts.finish(child.task_id, by.token, ending, worker="piece")


WORKER_STEPS = [
    *("claim", "claim_briefly", "conclude", "report", "renew", "finish", "give_back", "fan_out"),
    "pause",
]
OTHER_STEPS = [
    *("reap", "reap", "cancel", "apply", "sweep", "roll_up", "end_children"),
    *("suspend", "apply_suspension", "resume"),
]
STEP = st.tuples(
    st.sampled_from(
        [(who, step) for who in (0, 1) for step in WORKER_STEPS]
        + [(2, step) for step in OTHER_STEPS]
    ),
    st.integers(0, 7),
)


def check_rules(ledger: Ledger) -> None:
    """No rule is broken but those of time: nothing sweeps here."""
    allowance = Allowance(margin=timedelta(days=1), second_look=timedelta(0))
    assert verify(ledger.receipts.tasks.database, None, allowance=allowance).violations == ()


def cast(ledger: Ledger, receipt: Receipt) -> tuple[Worker, Worker, Others]:
    return (
        Worker(ledger, receipt.task_id, "w0"),
        Worker(ledger, receipt.task_id, "w1"),
        Others(ledger, receipt.task_id),
    )


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    steps=st.lists(STEP, min_size=5, max_size=30),
    max_attempts=st.integers(1, 3),
)
def test_any_sequence_keeps_the_contract(
    ledger: Ledger, steps: list[tuple[tuple[int, str], int]], max_attempts: int
) -> None:
    receipt = create(ledger, max_attempts=max_attempts)
    actors = cast(ledger, receipt)
    before = stored(ledger, receipt.task_id)
    check_document(before)
    for (who, name), choice in steps:
        step: Callable[[int], None] = getattr(actors[who], name)
        step(choice)
        after = stored(ledger, receipt.task_id)
        check_step(before, after)
        before = after
    check_rules(ledger)


def test_all_of_them_at_once_keep_the_contract(ledger: Ledger) -> None:
    """The same steps from sixteen threads: only the ends can be compared."""
    for round_ in range(6):
        receipt = create(ledger, max_attempts=3)
        first = stored(ledger, receipt.task_id)

        def act(index: int, receipt: Receipt = receipt, round_: int = round_) -> list[str]:
            workers = cast(ledger, receipt)
            names = OTHER_STEPS if index % 4 == 3 else WORKER_STEPS
            actor = workers[2] if index % 4 == 3 else workers[index % 2]
            for turn in range(8):
                name = names[(index * 7 + turn * (round_ + 1)) % len(names)]
                getattr(actor, name)(turn)
            return actor.told_ended if isinstance(actor, Worker) else []

        told = [status for each in at_once(16, act) for status in each]
        after = stored(ledger, receipt.task_id)
        check_step(first, after)
        assert set(told) <= {after["status"]}
        assert after["version"] >= len(after["history"])
    check_rules(ledger)
