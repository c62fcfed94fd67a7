"""A job that ends by itself when its process is told to end, and leaves the process running."""

import signal
from threading import Event
from typing import Final

from tests.integration.jobs_for_tests import LOOK_S, effect
from workers.attempt import Attempt
from workers.celery_app import app
from workers.job import Job

GIVE_UP_LOOKS: Final = 6_000


@app.task(base=Job, bind=True, name="test_told_to_end")
def take_note(self: Job, attempt: Attempt) -> str:
    """Looks at nothing but SIGTERM."""
    told = Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    effect(self, attempt, "began")
    for _ in range(GIVE_UP_LOOKS):
        if told.wait(LOOK_S):
            return "told to end"
    return "was not told"
