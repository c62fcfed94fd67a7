"""Whether this worker is to stop: its parent hears the signal, its children need to know.

One byte of memory that children share with the parent that forks them. A job that checkpoints
gives its task back at its next report, and no child begins another; what does not look runs to its
end, as Celery's warm shutdown has it.
"""

import mmap
from typing import Final

_RUNNING: Final = b"\0"
_STOPPING: Final = b"\1"

_state = mmap.mmap(-1, len(_RUNNING))


def begin() -> None:
    """Tells every process of this worker; it cannot be taken back."""
    _state[:] = _STOPPING


def has_begun() -> bool:
    """Whether the worker that this process belongs to is stopping."""
    return _state[:] == _STOPPING
