"""Ids: a prefix that names the kind, and a time-sortable random part (UUIDv7, RFC 9562)."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Final

import uuid_utils

TIMESTAMP_HEX_DIGITS: Final = 12  # a UUIDv7 begins with 48 bits of Unix milliseconds
RANDOM_HEX_DIGITS: Final = 20


# The ids that a request gives, where it may be repeated: the same ones each time.
_given: ContextVar[Iterator[str] | None] = ContextVar("given_ids", default=None)


@contextmanager
def repeatable_ids(seed: str) -> Iterator[None]:
    """Within it, and in threads that it calls, the nth new id is the nth of `seed`, an id itself.

    A request that runs again after an unclear end finds what its first run stored.
    """
    keys = (f"{seed}:{number}" for number in count())
    token = _given.set(keys)
    try:
        yield
    finally:
        _given.reset(token)


def new_id(prefix: str) -> str:
    """A new id, `<prefix>_<32 hex digits>`; ids of one process sort by the time they were made."""
    if (keys := _given.get()) is not None:
        key = next(keys)
        return derived_id(prefix, like=key.split(":")[0], key=key)
    return f"{prefix}_{uuid_utils.uuid7().hex}"


def derived_id(prefix: str, *, like: str, key: str) -> str:
    """The id that `key` always gets: the time part of the id `like`, then a digest of `key`.

    Writing under it twice writes one thing, and it still sorts by the time of `like`.
    """
    time_part = like.rsplit("_", 1)[-1][:TIMESTAMP_HEX_DIGITS]
    digest = hashlib.blake2b(key.encode(), digest_size=RANDOM_HEX_DIGITS // 2).hexdigest()
    return f"{prefix}_{time_part}{digest}"
