"""Ids: a prefix that names the kind, and a time-sortable random part (UUIDv7, RFC 9562)."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

import uuid_utils

TIMESTAMP_HEX_DIGITS: Final = 12  # a UUIDv7 begins with 48 bits of Unix milliseconds
RANDOM_HEX_DIGITS: Final = 20


# Of a request that may be repeated: what its ids are made of.
_seed: ContextVar[str | None] = ContextVar("id_seed", default=None)


@contextmanager
def repeatable_ids(seed: str) -> Iterator[None]:
    """Within it, and in threads that it calls, ids are those that `seed`, an id itself, gives.

    A request that runs again after an unclear end finds what its first run stored.
    """
    token = _seed.set(seed)
    try:
        yield
    finally:
        _seed.reset(token)


def repeated_seed() -> str | None:
    """What the ids of this request are made of, where it may be repeated; else None."""
    return _seed.get()


def new_id(prefix: str, place: str = "") -> str:
    """A new id, `<prefix>_<32 hex digits>`; ids of one process sort by the time they were made.

    `place` tells things of one kind in one request apart, by where they stand in it.
    """
    if (seed := _seed.get()) is not None:
        return derived_id(prefix, like=seed, key=f"{seed}:{prefix}:{place}")
    return f"{prefix}_{uuid_utils.uuid7().hex}"


def is_own(made_id: str) -> bool:
    """Whether an earlier run of this very request made the id, the only one of its kind."""
    return _seed.get() is not None and new_id(made_id.split("_", 1)[0]) == made_id


def derived_id(prefix: str, *, like: str, key: str) -> str:
    """The id that `key` always gets: the time part of the id `like`, then a digest of `key`.

    Writing under it twice writes one thing, and it still sorts by the time of `like`.
    """
    time_part = like.rsplit("_", 1)[-1][:TIMESTAMP_HEX_DIGITS]
    digest = hashlib.blake2b(key.encode(), digest_size=RANDOM_HEX_DIGITS // 2).hexdigest()
    return f"{prefix}_{time_part}{digest}"
