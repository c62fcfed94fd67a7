"""Going on with a removal whose task did not come to its end: the thing itself is gone already."""

from app.receipts.ledger import Ledger
from app.receipts.receipt import NewTask, Receipt
from app.receipts.status import TaskStatusEnum


def remove_again(ledger: Ledger, task: NewTask) -> Receipt | None:
    """The task that deletes what is left, the open one or a new one after one that failed or was
    canceled; None where there is nothing to go on with.
    """
    last = ledger.receipts.last_of(task)
    if last is None or last.status is TaskStatusEnum.COMPLETED:
        return None
    if not last.is_terminal:
        return last
    (receipt,) = ledger.submission.submit([task])
    return receipt
