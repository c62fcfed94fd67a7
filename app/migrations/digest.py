"""Content hashes: equal for equal content, whatever the order of keys; pure."""

import hashlib
from collections.abc import Collection
from typing import Final

import bson

from app.database import Document

# What differs by design: a row's own times, and which attempt of which task wrote it.
BY_DESIGN: Final = frozenset({"updated_at", "task_id", "attempt", "batch_id"})
DIGEST_BYTES: Final = 16
EMPTY: Final = "0" * (2 * DIGEST_BYTES)


def content_digest(row: Document, *, without: Collection[str] = BY_DESIGN) -> str:
    """BLAKE2b over the row's BSON with sorted keys, at every depth, in hex."""
    kept = {name: value for name, value in row.items() if name not in without}
    encoded = bson.encode({"row": _sorted(kept)})
    return hashlib.blake2b(encoded, digest_size=DIGEST_BYTES).hexdigest()


def chained(before: str, digest: str) -> str:
    """The hash of a sequence of rows: of that of the rows before, and this one's digest."""
    joined = bytes.fromhex(before) + bytes.fromhex(digest)
    return hashlib.blake2b(joined, digest_size=DIGEST_BYTES).hexdigest()


def _sorted(value: object) -> object:
    match value:
        case dict():
            return {name: _sorted(value[name]) for name in sorted(value)}
        case list():
            return [_sorted(each) for each in value]
        case _:
            return value
