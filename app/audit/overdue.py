"""What waits longer than it should, by MongoDB's clock.

Every function takes a readable receipt and returns what breaks the rule, or None.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.audit.family import NO_CHILDREN, Children
from app.audit.history import PROCESSING
from app.database import Document
from app.receipts.hold import Admission
from app.receipts.status import TERMINAL, TaskStatusEnum

PENDING: Final = TaskStatusEnum.PENDING.value
WAITING: Final = frozenset({TaskStatusEnum.PENDING, TaskStatusEnum.SUSPENDED})


@dataclass(frozen=True, slots=True)
class Sight:
    """A moment, and what stood around the receipts then.

    `margin` is how long sweeps may take; each is ticked every few seconds. `children` by the id
    of their parent; `depths` by queue, the messages that wait there, without queues not asked;
    `doors` by namespace, when somebody last looked for room in its quota.
    """

    now: datetime
    margin: timedelta
    children: Mapping[str, Children]
    depths: Mapping[str, int]
    doors: Mapping[str, datetime]

    def late(self, since: datetime, what: str) -> str | None:
        """`what` happened so long ago, or None: not longer than the margin."""
        late = self.now - since
        return f"{what} {late.total_seconds():.0f} s ago" if late > self.margin else None

    def children_of(self, receipt: Document) -> Children:
        return self.children.get(receipt["_id"], NO_CHILDREN)


def lost_lease(receipt: Document, sight: Sight) -> str | None:
    """A lease that expired, and was not taken back."""
    lease = receipt["lease"]
    if lease is None or receipt["status"] != PROCESSING:
        return None
    return sight.late(lease["expires_at"], f"the lease of {lease['worker']} expired")


def unsent_message(receipt: Document, sight: Sight) -> str | None:
    """A task that is due and has no message.

    A queue that is merely long breaks nothing; one that is empty has lost the messages of all
    that still wait for it.
    """
    if not counts_on_message(receipt) or is_held(receipt):
        return None
    due_at = _due_at(receipt)
    sent_at = receipt["published_at"]
    if sent_at is None:
        return sight.late(due_at, "no message was sent since it was due")
    if sight.depths.get(receipt["queue"]) == 0:
        return sight.late(max(due_at, sent_at), "its queue is empty, and its message was sent")
    return None


def shut_door(receipt: Document, sight: Sight) -> str | None:
    """A task that waits for room in its namespace's quota, where nobody looks for any."""
    if not counts_on_message(receipt) or not is_held(receipt):
        return None
    opened_at = sight.doors.get(receipt["namespace_id"])
    since = max(filter(None, (_due_at(receipt), opened_at)))
    return sight.late(since, "nobody looked for room in its namespace's quota since")


def idle_cancellation(receipt: Document, sight: Sight) -> str | None:
    """A cancellation that was not carried out on a task that waits, or not in time on one that
    runs; of a worker that does not answer the receipt says so instead.
    """
    intent = receipt["cancellation"]
    if intent is None:
        return None
    if is_to_end(receipt):
        if sight.children_of(receipt).open_:
            return None  # it ends after their code
        return sight.late(intent["requested_at"], "its end was asked for")
    deadline_at = intent.get("deadline_at")
    is_held = receipt["status"] == PROCESSING and receipt["lease"] is not None
    if is_held and deadline_at is not None and intent["outcome"] is None:
        return sight.late(deadline_at, "it was to be ended by force")
    return None


def idle_suspension(receipt: Document, sight: Sight) -> str | None:
    """A pause that was not carried out on a task whose own code does not run."""
    intent = receipt.get("suspension")
    if intent is None or receipt["cancellation"] is not None:
        return None
    if receipt["status"] == PENDING or _is_parent_at_rest(receipt):
        return sight.late(intent["requested_at"], "its pause was asked for")
    return None


def uncalled_parent(receipt: Document, sight: Sight) -> str | None:
    """A parent whose children have all ended, and that nobody calls to conclude.

    While workers are busy it is called again and again, so a long wait by itself breaks nothing.
    """
    children = sight.children_of(receipt)
    if not _is_parent_at_rest(receipt) or children.open_ or receipt.get("suspension"):
        return None
    called_at: datetime = receipt["fan_out"]["called_at"]
    due_at = max(called_at, children.last_ended_at or called_at)
    return sight.late(due_at, "its children have ended, and it was to be called")


def untold_child(child: Document, parent: Document, sight: Sight) -> str | None:
    """An open child whose parent is to end, and that was not told."""
    is_told = parent["cancellation"] is None or child["cancellation"] is not None
    if is_told or child["status"] in TERMINAL or parent["status"] in TERMINAL:
        return None
    if parent["lease"] is not None:
        return None  # its own code ends first, and tells its children then
    asked_at = max(parent["cancellation"]["requested_at"], child["created_at"])
    return sight.late(asked_at, f"the end of its parent {parent['_id']} was asked for")


def counts_on_message(receipt: Document) -> bool:
    """Whether it waits for a worker."""
    is_asked_to_stop = receipt["cancellation"] is not None or receipt.get("suspension") is not None
    return receipt["status"] == PENDING and not is_asked_to_stop


def is_held(receipt: Document) -> bool:
    """Whether it is to have no message until its namespace's quota has room."""
    return (receipt.get("admission") or {}).get("state") == Admission.HELD


def is_to_end(receipt: Document) -> bool:
    """Whether it waits, and was asked to end."""
    return receipt["status"] in WAITING and receipt["cancellation"] is not None


def _due_at(receipt: Document) -> datetime:
    times: list[datetime] = [receipt["not_before"] or receipt["created_at"]]
    times += [entry["at"] for entry in receipt["history"][-1:]]
    return max(times)


def _is_parent_at_rest(receipt: Document) -> bool:
    is_parent = receipt["status"] == PROCESSING and receipt["fan_out"] is not None
    return is_parent and receipt["lease"] is None
