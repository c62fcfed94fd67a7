"""The one way in: the receipt is stored first, then the message is sent."""

from collections.abc import Sequence

import structlog
from pymongo.errors import PyMongoError

from app.receipts.admission import AdmissionStore, beyond_quota
from app.receipts.publisher import Publisher
from app.receipts.queue import QueueStore
from app.receipts.quota import QuotaStore
from app.receipts.receipt import NewTask, Receipt
from app.receipts.store import ReceiptStore

log = structlog.get_logger(__name__)


class Submission:
    """Takes run requests. A broker that is down costs a delay, never a receipt."""

    def __init__(
        self,
        receipts: ReceiptStore,
        queue: QueueStore,
        publisher: Publisher,
        quotas: QuotaStore,
        admissions: AdmissionStore,
    ) -> None:
        self._receipts = receipts
        self._queue = queue
        self._publisher = publisher
        self._quotas = quotas
        self._admissions = admissions

    def submit(self, tasks: Sequence[NewTask]) -> list[Receipt]:
        """The stored receipts of tasks of one namespace, in order.

        Raises `TooManyRequestsError` where not all fit its quota, with those stored that do, and
        the driver's error where MongoDB did not acknowledge them.
        """
        receipts = self.accept(tasks)
        if len(receipts) < len(tasks):
            raise beyond_quota()
        return receipts

    def accept(self, tasks: Sequence[NewTask]) -> list[Receipt]:
        """The stored receipts of the first of these tasks: those that fit the quota of their
        namespace, which has to be one, in order.
        """
        if not tasks:
            return []
        documents = self._admissions.draft(tasks)
        is_counted = "admission" in documents[0]
        store = self._admissions.store if is_counted else self._receipts.add
        return self.send(store(documents))

    def send(self, receipts: Sequence[Receipt]) -> list[Receipt]:
        """Sends the message of each, or lets it in where it is held and there is room; returns
        them as they are then. Those that the broker did not take are sent by the sweep.
        """
        self._publish([receipt for receipt in receipts if not receipt.is_held])
        doors = {receipt.namespace_id for receipt in receipts if receipt.is_held}
        let_in = {each.task_id: each for door in doors for each in self.open(door)}
        return [let_in.get(receipt.task_id, receipt) for receipt in receipts]

    def open(self, namespace_id: str) -> list[Receipt]:
        """Lets in and sends what waits for room, where there is some; the sweep does it, too, so a
        MongoDB that is away is logged only.
        """
        try:
            receipts = self._admissions.open(namespace_id)
        except PyMongoError as exc:
            log.warning("queue.door_stuck", namespace_id=namespace_id, error=type(exc).__name__)
            return []
        self._publish(receipts)
        return receipts

    def change_quota(self, namespace_id: str) -> None:
        """Makes a namespace's tasks follow its quota after this has changed."""
        self._quotas.forget(namespace_id)
        quota = self._quotas.of(namespace_id)
        if quota.is_set:
            self._admissions.enroll(namespace_id)
        if quota.max_running is not None:
            self._admissions.hold_back(namespace_id, beyond=quota.max_running)
        self.open(namespace_id)

    def let_in(self) -> int:
        """The sweep over all doors: counts the tasks whose messages were sent."""
        for namespace_id in self._quotas.changed_lately():
            self._admissions.enroll(namespace_id)
        return sum(len(self.open(each)) for each in self._admissions.held_in())

    def _publish(self, receipts: Sequence[Receipt]) -> None:
        unsent = self._publisher.publish_all(receipts)
        try:
            self._queue.mark_unpublished(unsent)
        except PyMongoError as exc:
            # The sweep sends them all the same, once their messages count as lost.
            log.warning("queue.mark_failed", count=len(unsent), error=type(exc).__name__)
