"""What a copy in Redis may say of a receipt.

The copy is read before the truth, so a receipt that moves on in between is never taken for wrong.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from app.audit.violation import Rule
from app.database import Document
from app.receipts.status import TERMINAL

FIELDS: Final = ("version", "namespace", "terminal", "body")
NO_END: Final = -1  # PTTL's answer for a key without one
NO_KEY: Final = -2  # and for one that is gone


@dataclass(frozen=True, slots=True)
class StoredCopy:
    """What a copy says; `saying` is None where it cannot be read."""

    task_id: str
    ttl_ms: int
    saying: "Saying | None"

    @classmethod
    def from_reply(cls, task_id: str, fields: Sequence[bytes | None], ttl_ms: int) -> Self:
        """The copy in the replies to HMGET and PTTL."""
        try:
            return cls(task_id, ttl_ms, Saying.from_fields(fields))
        except (ValueError, TypeError, KeyError):
            return cls(task_id, ttl_ms, None)


@dataclass(frozen=True, slots=True)
class Saying:
    """The part of a copy that is compared with the truth."""

    version: int
    namespace_id: str
    terminal: bool
    status: str
    attempt: int
    ended_at: datetime | None

    @classmethod
    def from_fields(cls, fields: Sequence[bytes | None]) -> Self:
        """Raises ValueError, TypeError or KeyError for what is no copy."""
        version, namespace, terminal, body = fields
        if version is None or namespace is None or terminal is None or body is None:
            raise ValueError("a field is missing")
        said = json.loads(body)
        ended_at = said["ended_at"]
        return cls(
            version=int(version),
            namespace_id=namespace.decode(),
            terminal=terminal == b"1",
            status=str(said["status"]),
            attempt=int(said["attempt"]),
            ended_at=None if ended_at is None else datetime.fromisoformat(ended_at),
        )


def flaws(
    copy: StoredCopy, truth: Document | None, *, now: datetime, kept: timedelta
) -> Iterator[tuple[Rule, str]]:
    """Every rule that the copy breaks; `kept` is how long receipts outlast their end at least."""
    if copy.ttl_ms == NO_END:
        yield Rule.COPY_WITHOUT_END, "its key has no time to live"
    said = copy.saying
    if said is None:
        yield Rule.COPY_DIFFERS, "its copy cannot be read"
    elif truth is None:
        if said.ended_at is None or said.ended_at + kept > now:
            detail = f"its copy says {said.status} at version {said.version}, and it has no receipt"
            yield Rule.COPY_WITHOUT_RECEIPT, detail
    elif said.version > truth["version"]:
        detail = f"its copy has version {said.version}, the truth {truth['version']}"
        yield Rule.COPY_AHEAD, detail
    elif said.version == truth["version"] and (difference := _difference(said, truth)) is not None:
        yield Rule.COPY_DIFFERS, difference


def _difference(said: Saying, truth: Document) -> str | None:
    pairs = {
        "status": (said.status, truth["status"]),
        "attempt": (said.attempt, truth["attempt"]),
        "namespace": (said.namespace_id, truth["namespace_id"]),
        "terminal": (said.terminal, truth["status"] in TERMINAL),
    }
    for name, (copied, stored) in pairs.items():
        if copied != stored:
            return f"{name} is {copied} in its copy, {stored} in the truth of the same version"
    return None
