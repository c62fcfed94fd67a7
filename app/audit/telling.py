"""Whether others are told of what happened: what is untold is found, and nobody forgets a delivery.

Every function takes stored documents and returns what breaks the rule, or None.
"""

from datetime import datetime, timedelta

from app.database import Document
from app.deliveries.delivery import OPEN, Stage
from app.receipts.transition import TOLD


def untold(receipt: Document) -> str | None:
    """News of a task that nobody who looks for some would find."""
    if receipt["parent_task_id"] is not None or "told" not in receipt:
        return None  # nobody is told of children, nor was anybody of receipts that are older
    news = (
        entry
        for entry in receipt["history"][receipt["told"] :]
        if entry["from"] is None or entry["to"] in TOLD
    )
    first = next(news, None)
    if first is None:
        return None
    since = receipt.get("untold_since")
    if since is None or since > first["at"]:
        return f"nobody will be told of its {first['to']}, entry {first['seq']}"
    return None


def gap_in_log(delivery: Document) -> str | None:
    """An attempt that is missing from a delivery's log, or that never came to an end in it."""
    numbers = [attempt["number"] for attempt in delivery["attempts"]]
    if numbers != list(range(1, delivery["attempt_count"] + 1)):
        return f"its log has the attempts {numbers} of {delivery['attempt_count']}"
    is_sending = delivery["status"] == Stage.SENDING
    settled = delivery["attempts"][:-1] if is_sending else delivery["attempts"]
    open_ = [attempt["number"] for attempt in settled if attempt["outcome"] is None]
    return f"the attempts {open_} have no outcome" if open_ else None


def forgotten(
    delivery: Document, mailbox: Document | None, *, now: datetime, margin: timedelta
) -> str | None:
    """A delivery that has waited, and at which nobody will look when it is due."""
    if delivery["status"] not in OPEN or now - delivery["updated_at"] <= margin:
        return None
    if mailbox is not None and mailbox.get("turn"):
        return None
    due_at = (mailbox or {}).get("due_at")
    if due_at is None:
        return f"nobody looks into the mailbox {delivery['mailbox_id']}"
    if due_at > max(delivery["due_at"], now) + margin:
        return f"its mailbox is looked into {(due_at - now).total_seconds():.0f} s from now"
    return None


def unserved(mailbox: Document, *, now: datetime, margin: timedelta) -> str | None:
    """A mailbox that is due, and nobody serves it."""
    times = [mailbox["due_at"]]
    if (turn := mailbox.get("turn")) is not None:
        times.append(turn["expires_at"])
    if (paused_until := (mailbox.get("health") or {}).get("paused_until")) is not None:
        times.append(paused_until)
    return _late(max(times), now, margin, "its deliveries were due, and nobody served it since")


def waiting(since: datetime, *, now: datetime, margin: timedelta) -> str | None:
    """News that nobody was told of in time."""
    return _late(since, now, margin, "it happened, and nobody was told")


def _late(since: datetime, now: datetime, margin: timedelta, what: str) -> str | None:
    late = now - since
    return f"{what}: {late.total_seconds():.0f} s" if late > margin else None
