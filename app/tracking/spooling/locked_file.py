"""Files that this process has locked, as long as it wants or lives."""

import fcntl
import os
from pathlib import Path
from typing import Final


class LockedFile:
    """A file that nobody else has locked. The lock ends with this process, however that ends.

    A child that this process forks has no part in it: it would keep the lock beyond that end.
    """

    def __init__(self, path: Path, *, flags: int = 0) -> None:
        """Made where it is not there. `BlockingIOError` where somebody else has locked it."""
        self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o600)
        _held.add(self)
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Lets go of it; safe to repeat. Whatever uses the file afterwards gets an `OSError`."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1
        _held.discard(self)


_held: Final[set[LockedFile]] = set()


def _let_go() -> None:
    for file in list(_held):
        file.close()


os.register_at_fork(after_in_child=_let_go)
