"""Launching the task of a resource: its receipt and the resource change together."""

from collections.abc import Callable

from pymongo.client_session import ClientSession

from app.database import Document, transact
from app.receipts.admission import beyond_quota
from app.receipts.ledger import Ledger
from app.receipts.receipt import NewTask, Receipt
from app.receipts.write import TRANSACTION

Start = Callable[[Document, ClientSession], bool]


def launch(ledger: Ledger, task: NewTask, start: Start) -> Receipt | None:
    """The receipt of `task`, stored together with what `start` writes, in one transaction.

    `start` gets the receipt's document (its `_id` is the task's id) and the session, which it
    passes on to each of its writes; it may be called again. Where it says False, nothing is
    stored, and the answer is None: somebody else was first. Raises `TooManyRequestsError`, and
    stores nothing, where the namespace's quota has no room. The message is sent afterwards; one
    that the broker does not take is sent by the sweep.
    """
    (document,) = ledger.admissions.draft([task])

    def write(session: ClientSession) -> bool:
        if not start(document, session):
            return False
        if not ledger.admissions.insert([document], session):
            raise beyond_quota()
        return True

    if not transact(ledger.receipts.tasks.database, write, within=TRANSACTION):
        return None
    (receipt,) = ledger.submission.send([ledger.receipts.committed(document)])
    return receipt
