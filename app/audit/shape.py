"""Whether a stored document has what the other rules read."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from app.database import Document
from app.receipts.status import TaskStatusEnum

Shape = Mapping[str, type | tuple[type, ...]]

_NOTHING: Final = type(None)
_TEXT: Final = (str, _NOTHING)
_TIME: Final = (datetime, _NOTHING)
_PART: Final = (dict, _NOTHING)

RECEIPT: Final[Shape] = {
    "namespace_id": str,
    "queue": str,
    "status": str,
    "created_at": datetime,
    "updated_at": datetime,
    "ended_at": _TIME,
    "attempt": int,
    "max_attempts": int,
    "version": int,
    "published_at": _TIME,
    "not_before": _TIME,
    "parent_task_id": _TEXT,
    "lease": _PART,
    "fan_out": _PART,
    "cancellation": _PART,
    "history": list,
}
# What younger receipts have more than older ones.
YOUNGER: Final[Shape] = {
    "suspension": _PART,
    "returns": int,
    "last_token": _TEXT,
    "admission": dict,
    "told": int,
    "untold_since": datetime,
}
CHILD: Final[Shape] = {"ordinal": int, "units": int}

PARTS: Final[Mapping[str, Shape]] = {
    "lease": {"token": str, "worker": str, "expires_at": datetime},
    "fan_out": {"units": int, "conclusions": int, "called_at": datetime},
    "cancellation": {"requested_at": datetime, "outcome": _TEXT},
    "suspension": {"requested_at": datetime},
    "admission": {"state": str, "queue": str, "at": _TIME},
}
ENTRY: Final[Shape] = {"seq": int, "from": _TEXT, "to": str, "at": datetime, "attempt": int}


def shape_flaw(document: Document, shape: Shape) -> str | None:
    """The first field that is missing or of a wrong type."""
    for name, kind in shape.items():
        if name not in document:
            return f"it has no '{name}'"
        value = document[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            return f"'{name}' is {type(value).__name__}"
    return None


def receipt_flaw(receipt: Document) -> str | None:
    """What keeps a receipt from being read, or None: then every other rule can read it."""
    present = {name: kind for name, kind in YOUNGER.items() if name in receipt}
    child = CHILD if receipt.get("parent_task_id") is not None else {}
    if (flaw := shape_flaw(receipt, {**RECEIPT, **present, **child})) is not None:
        return flaw
    if receipt["status"] not in TaskStatusEnum.__members__:
        return f"its status is '{receipt['status']}'"
    for name, shape in PARTS.items():
        part = receipt.get(name)
        if part is not None and (flaw := shape_flaw(part, shape)) is not None:
            return f"{flaw} in '{name}'"
    return _history_flaw(receipt["history"])


def _history_flaw(history: list[object]) -> str | None:
    for number, entry in enumerate(history, 1):
        if not isinstance(entry, dict):
            return f"entry {number} is {type(entry).__name__}"
        if (flaw := shape_flaw(entry, ENTRY)) is not None:
            return f"{flaw} in entry {number}"
    return None
