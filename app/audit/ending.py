"""What a receipt says of its end, and of the one who asked for it.

Every function takes a readable receipt and returns what breaks its rule, or None.
"""

from app.database import Document
from app.receipts.cancellation import UNREACHABLE
from app.receipts.status import TERMINAL, TaskStatusEnum


def end_marks(receipt: Document) -> str | None:
    """An end without its times, or times without an end."""
    ended_at, expire_at = receipt["ended_at"], receipt.get("expire_at")
    status = receipt["status"]
    if status not in TERMINAL:
        marks = {"ended_at": ended_at, "expire_at": expire_at}
        early = [name for name, value in marks.items() if value is not None]
        return f"it is {status} and has {' and '.join(early)}" if early else None
    if ended_at is None or expire_at is None:
        return f"it is {status} without {'ended_at' if ended_at is None else 'expire_at'}"
    last = receipt["history"][-1] if receipt["history"] else None
    if last is not None and last["to"] == status and last["at"] != ended_at:
        return "ended_at is not the time of its last transition"
    return None


def unasked_stop(receipt: Document) -> str | None:
    """A cancellation, or a suspension, that nobody asked for."""
    status = receipt["status"]
    if status == TaskStatusEnum.CANCELED and receipt["cancellation"] is None:
        return "nobody asked for its end"
    if status == TaskStatusEnum.SUSPENDED and receipt.get("suspension", {}) is None:
        return "nobody asked for its pause"
    return None


def missing_outcome(receipt: Document) -> str | None:
    """An ended task whose cancellation is still open."""
    intent = receipt["cancellation"]
    if receipt["status"] not in TERMINAL or intent is None:
        return None
    if intent["outcome"] in (None, UNREACHABLE):
        return f"it is {receipt['status']}, and the outcome is {intent['outcome']!r}"
    return None
