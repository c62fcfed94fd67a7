"""The worker's consumer, which tells watchers of its tasks a few times a second.

Celery's own publishes the events of each turn of its loop in a message of their own, a third of the
work of a worker whose jobs are short.
"""

import time
from typing import Any, Final

from celery.worker import consumer

FLUSH_EVERY_S: Final = 0.1


class Consumer(consumer.Consumer):
    """Celery's, whose events go out together: the first of some a tenth of a second later."""

    hub: Any  # the stubs do not know these
    _flush_events: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._flush_due_s = 0.0

    def on_send_event_buffered(self) -> None:  # type: ignore[override] # it returns None
        """Has what is buffered published soon; a flush that a lost connection took is made up
        for by the next event.
        """
        now_s = time.monotonic()
        if self.hub and now_s >= self._flush_due_s:
            self._flush_due_s = now_s + FLUSH_EVERY_S
            # The timers are the loop's alone; a pool of threads has events from its threads.
            self.hub.call_soon(self._flush_soon)

    def _flush_soon(self) -> None:
        self.hub.call_later(FLUSH_EVERY_S, self._flush_events)
