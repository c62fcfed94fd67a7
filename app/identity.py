"""Ids: a prefix that names the kind, and a time-sortable random part (UUIDv7, RFC 9562)."""

import hashlib
from typing import Final

import uuid_utils

TIMESTAMP_HEX_DIGITS: Final = 12  # a UUIDv7 begins with 48 bits of Unix milliseconds
RANDOM_HEX_DIGITS: Final = 20


def new_id(prefix: str) -> str:
    """A new id, `<prefix>_<32 hex digits>`; ids of one process sort by the time they were made."""
    return f"{prefix}_{uuid_utils.uuid7().hex}"


def derived_id(prefix: str, *, like: str, key: str) -> str:
    """The id that `key` always gets: the time part of the id `like`, then a digest of `key`.

    Writing under it twice writes one thing, and it still sorts by the time of `like`.
    """
    time_part = like.rsplit("_", 1)[-1][:TIMESTAMP_HEX_DIGITS]
    digest = hashlib.blake2b(key.encode(), digest_size=RANDOM_HEX_DIGITS // 2).hexdigest()
    return f"{prefix}_{time_part}{digest}"
