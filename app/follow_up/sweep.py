"""The sweep that follows up on batches: calls for what is to run, and starts what is due."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from app.errors import (
    AlreadyExistsError,
    CallerError,
    NotFoundError,
    PermanentError,
    TooManyRequestsError,
)
from app.follow_up.follow_up import FollowUp, FollowUpStore
from app.identity import is_own, repeatable_ids
from app.receipts.receipt import Receipt
from app.resources.application import ClusterApplication
from app.resources.batch import Batch, BatchStore
from app.resources.collection import CollectionStore
from app.resources.document import DocumentStore
from app.resources.namespace import NamespaceStore

# Until another run of the same has ended, or a quota has room.
IN_THE_WAY: Final = timedelta(seconds=5)

log = structlog.get_logger(__name__)

Start = Callable[[FollowUp], Receipt]


@dataclass(frozen=True, slots=True)
class FollowUpSweep:
    """Safe to repeat, to race and to crash at any point: a ticket starts one task.

    `start` submits what a follow-up names. It is called with the ids of the ticket, so that a
    second call finds the task of the first.
    """

    namespaces: NamespaceStore
    batches: BatchStore
    collections: CollectionStore
    documents: DocumentStore
    follow_ups: FollowUpStore
    start: Start
    debounce: timedelta

    def run(self) -> int:
        """Counts the tasks that were started."""
        for batch in self.batches.to_follow_up():
            self._call(batch)
        return sum(map(self._take_up, self.follow_ups.due()))

    def _call(self, batch: Batch) -> None:
        assert batch.task_id is not None  # it has ended
        for collection_id in batch.collection_ids or ():
            try:
                collection = self.collections.get(collection_id, namespace_id=batch.namespace_id)
            except NotFoundError:
                continue  # deleted meanwhile
            self.follow_ups.call_for(batch.task_id, collection, debounce=self.debounce)
        self.batches.set_followed_up(batch)

    def _take_up(self, called: FollowUp) -> bool:
        current = self._current(called)
        if current is None:
            self.follow_ups.forget(called)
            return False
        return self._start(current)

    def _current(self, called: FollowUp) -> FollowUp | None:
        """As its collection has it by now; None where that, or all its namespace, is gone."""
        if self.namespaces.find(called.namespace_id) is None:
            return None  # its rows may be there until they are deleted
        try:
            collection = self.collections.get(
                called.collection_id, namespace_id=called.namespace_id
            )
        except NotFoundError:
            return None
        return called.named_by(collection)

    def _start(self, follow_up: FollowUp) -> bool:
        if self._has_too_few(follow_up):
            self.follow_ups.done(follow_up, task_id=None)
            return False
        try:
            with repeatable_ids(follow_up.ticket):
                receipt = self.start(follow_up)
                is_ours = is_own(receipt.task_id)
        except (AlreadyExistsError, TooManyRequestsError):
            self.follow_ups.put_off(follow_up, delay=IN_THE_WAY)
            return False
        except (CallerError, PermanentError) as exc:
            log.warning("follow_up.refused", row_id=follow_up.row_id, error=str(exc))
            self.follow_ups.done(follow_up, task_id=None, error=str(exc))
            return False
        if not is_ours:  # an open one, which may have begun before the documents were there
            self.follow_ups.put_off(follow_up, delay=IN_THE_WAY)
            return False
        self.follow_ups.done(follow_up, task_id=receipt.task_id)
        return True

    def _has_too_few(self, follow_up: FollowUp) -> bool:
        match follow_up.application:
            case ClusterApplication(min_document_threshold=int(threshold)):
                counts = self.documents.counts([follow_up.collection_id])
                return counts.get(follow_up.collection_id, 0) < threshold
            case _:
                return False
