"""The keys of one signer, the newest first: earlier ones sign as well until their overlap ends.

Stored as {keys: [{rotation_id, sealed, made_at, ends_at}], rotation_ids: [the latest last]}.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Self

from app.database import Document
from app.errors import AlreadyExistsError
from app.webhooks.secret import Seal, SealedElsewhereError

MAX_KEYS: Final = 10  # that sign at a time: each adds a token to a header of every request
KEPT_ROTATIONS: Final = 100  # the latest of them, by which a repeated request knows its own
DEFAULT_OVERLAP: Final = timedelta(days=1)
MAX_OVERLAP: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class SealedKey:
    """One key as it is stored; `ends_at` is None of the newest."""

    rotation_id: str
    sealed: bytes
    made_at: datetime
    ends_at: datetime | None = None

    def ending(self, at: datetime) -> Self:
        """The same key, at an end by then at the latest."""
        return replace(self, ends_at=at if self.ends_at is None else min(self.ends_at, at))


@dataclass(frozen=True, slots=True)
class Keyring:
    """All keys that may still sign, never none, and the rotations that made the ring."""

    keys: tuple[SealedKey, ...]
    rotation_ids: tuple[str, ...]

    @classmethod
    def first(cls, key: SealedKey) -> Self:
        """A ring with one key."""
        return cls((key,), (key.rotation_id,))

    @classmethod
    def from_document(cls, stored: Document) -> Self:
        """The stored ring."""
        keys = tuple(SealedKey(**each) for each in stored["keys"])
        return cls(keys, tuple(stored["rotation_ids"]))

    def to_document(self) -> Document:
        """As it is stored."""
        return {
            "keys": [asdict(each) for each in self.keys],
            "rotation_ids": list(self.rotation_ids),
        }

    @property
    def newest(self) -> SealedKey:
        """The one that goes on signing."""
        return self.keys[0]

    @property
    def overlap_ends_at(self) -> datetime | None:
        """When the newest is, or was, the only one; None while there is no other."""
        return max((each.ends_at for each in self.keys if each.ends_at), default=None)

    def live(self, now: datetime) -> tuple[SealedKey, ...]:
        """Those that sign at the moment, the newest first."""
        return tuple(each for each in self.keys if each.ends_at is None or each.ends_at > now)

    def signing(self, now: datetime, seal: Seal) -> tuple[bytes, ...]:
        """The bytes of those that sign at the moment, the newest first.

        `SealedElsewhereError` where the newest was sealed with another key than `seal` has; an
        earlier one that was signs no more.
        """
        newest, *former = self.live(now)
        return (seal.unseal(newest.sealed), *_opened(former, seal))

    def rotated(self, new: SealedKey, overlap: timedelta) -> Self:
        """With the new key; those before it sign until the overlap ends, at most.

        `AlreadyExistsError` while too many of them do.
        """
        live = self.live(new.made_at) if overlap else ()
        if len(live) >= MAX_KEYS:
            raise AlreadyExistsError(
                f"{MAX_KEYS} of its secrets still sign: wait until an overlap ends"
            )
        former = (each.ending(new.made_at + overlap) for each in live)
        ids = (*self.rotation_ids, new.rotation_id)[-KEPT_ROTATIONS:]
        return type(self)((new, *former), ids)

    def repeats(self, rotation_id: str) -> bool:
        """Whether this rotation has happened and made the newest key.

        `AlreadyExistsError` where another one has followed it.
        """
        if rotation_id not in self.rotation_ids:
            return False
        if self.newest.rotation_id != rotation_id:
            raise AlreadyExistsError(
                "This request was answered before, and its secret is not the newest any more: "
                "rotate it anew"
            )
        return True


def _opened(keys: Iterable[SealedKey], seal: Seal) -> Iterator[bytes]:
    for each in keys:
        try:
            yield seal.unseal(each.sealed)
        except SealedElsewhereError:
            continue
