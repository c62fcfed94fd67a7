"""Whether this worker is to stop: its parent hears the signal, its children need to know.

One byte of memory that children share with the parent that forks them. A job that checkpoints
gives its task back at its next report, and no child begins another; what does not look runs to its
end, as Celery's warm shutdown has it.
"""

import mmap
import signal
from collections.abc import Callable
from types import FrameType
from typing import Final

Handler = Callable[[int, FrameType | None], object]

_RUNNING: Final = b"\0"
_STOPPING: Final = b"\1"

_state = mmap.mmap(-1, len(_RUNNING))


def listen() -> None:
    """Tells this worker's children of a signal to stop before Celery acts on it.

    Celery's own word for it, the signal `worker_shutting_down`, comes after a soft shutdown's
    time is up. Call it in the main thread, once Celery has set its handlers.
    """
    for number in (signal.SIGTERM, signal.SIGQUIT):
        handler = signal.getsignal(number)
        if not callable(handler):
            continue

        def tell(number: int, frame: FrameType | None, handler: Handler = handler) -> None:
            begin()
            handler(number, frame)

        signal.signal(number, tell)


def begin() -> None:
    """Tells every process of this worker; it cannot be taken back."""
    _state[:] = _STOPPING


def has_begun() -> bool:
    """Whether the worker that this process belongs to is stopping."""
    return _state[:] == _STOPPING
