"""Jobs that cost nothing themselves, for stacks that are measured."""

from app.errors import PermanentError
from workers.attempt import Attempt
from workers.celery_app import app
from workers.job import Job

MODULE = __name__
NOTHING = "bench_nothing"
BROKEN = "bench_broken"


@app.task(base=Job, bind=True, name=NOTHING)
def do_nothing(self: Job, attempt: Attempt) -> None:
    """Is done at once."""


@app.task(base=Job, bind=True, name=BROKEN)
def break_down(self: Job, attempt: Attempt) -> None:
    """Fails at once."""
    raise PermanentError("It was never going to work.")
