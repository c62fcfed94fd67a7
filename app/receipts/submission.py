"""The one way in: the receipt is stored first, then the message is sent."""

from collections.abc import Sequence

import structlog
from pymongo.errors import PyMongoError

from app.receipts.publisher import Publisher
from app.receipts.queue import QueueStore
from app.receipts.receipt import NewTask, Receipt
from app.receipts.store import ReceiptStore

log = structlog.get_logger(__name__)


class Submission:
    """Takes run requests. A broker that is down costs a delay, never a receipt."""

    def __init__(self, receipts: ReceiptStore, queue: QueueStore, publisher: Publisher) -> None:
        self._receipts = receipts
        self._queue = queue
        self._publisher = publisher

    def submit(self, tasks: Sequence[NewTask]) -> list[Receipt]:
        """The stored receipts, in order; raises only if MongoDB did not acknowledge them."""
        receipts = self._receipts.create(tasks)
        self.send(receipts)
        return receipts

    def send(self, receipts: Sequence[Receipt]) -> None:
        """Sends the message of each; those that the broker did not take are sent by the sweep."""
        unsent = [receipt.task_id for receipt in receipts if not self._publisher.publish(receipt)]
        try:
            self._queue.mark_unpublished(unsent)
        except PyMongoError as exc:
            # The sweep sends them all the same, once their messages count as lost.
            log.warning("queue.mark_failed", count=len(unsent), error=type(exc).__name__)
