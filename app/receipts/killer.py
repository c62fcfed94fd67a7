"""The one way to an end before time: the intent is stored first, then a control task is told."""

from collections.abc import Sequence
from typing import Final

from app.receipts.cancellation import CancellationStore
from app.receipts.publisher import Publisher
from app.receipts.receipt import Receipt
from app.receipts.store import ReceiptStore
from app.receipts.write_behind import Written

# Carries out what the stored intent asks of running jobs; a sweep does the same if it is lost.
CONTROL_TASK: Final = "waybill.kill"


class Killer:
    """Ends tasks: at once where they wait, through the control worker where they run."""

    def __init__(
        self, receipts: ReceiptStore, cancellations: CancellationStore, publisher: Publisher
    ) -> None:
        self._receipts = receipts
        self._cancellations = cancellations
        self._publisher = publisher

    def kill(self, task_id: str, *, actor: str, reason: str | None) -> Receipt:
        """The receipt after the intent and what it could do at once; safe to repeat."""
        self._cancellations.request(task_id, actor=actor, reason=reason)
        receipt = self._cancellations.apply(task_id)
        if not receipt.is_terminal:
            self._publisher.tell(CONTROL_TASK, task_id)
        return receipt

    def kill_many(self, task_ids: Sequence[str], *, actor: str, reason: str | None) -> int:
        """The same for many in a few writes; counts those that ended at once."""
        ended = self._cancellations.end_many(task_ids, actor=actor, reason=reason)
        receipts = self._receipts.find_many(task_ids)
        # Writes to many leave the copies as they were.
        self._receipts.cache.put_all([Written(receipt) for receipt in receipts])
        for receipt in receipts:
            if not receipt.is_terminal:
                self._publisher.tell(CONTROL_TASK, receipt.task_id)
        return ended
