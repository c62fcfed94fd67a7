"""Our job that does nothing."""

from workers.attempt import Attempt
from workers.celery_app import app
from workers.job import Job

NAME = "bench_noop"


@app.task(base=Job, bind=True, name=NAME)
def noop(self: Job, attempt: Attempt) -> None:
    """Ends at once."""
