"""A job whose tasks wait: its queue is served by no worker of `waybill up`."""

from workers.attempt import Attempt
from workers.celery_app import app
from workers.job import Job

NAME = "bench_waiting"
QUEUE = "bench.waiting"


class Waiting(Job):
    """A job with a queue of its own."""

    abstract = True
    queue = QUEUE


@app.task(base=Waiting, bind=True, name=NAME)
def wait(self: Job, attempt: Attempt) -> None:
    """Never runs."""
