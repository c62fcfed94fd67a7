"""Jobs that the acceptance tests' workers serve besides ours."""

import gc
import logging
import threading

import numpy as np
from sklearn.cluster import KMeans

from app.errors import PermanentError
from workers.attempt import Attempt
from workers.celery_app import app
from workers.exit import SkippedError
from workers.job import Job

TICK_S = 0.1


def ticks_of(attempt: Attempt) -> dict[str, int]:
    """Ticks as often as the input says, looking at its cancellation each time."""
    ticks = int(str(attempt.inputs[0]))
    pause = threading.Event()
    for done in range(1, ticks + 1):
        attempt.raise_if_aborted()
        attempt.progress(done, ticks)
        pause.wait(TICK_S)
    return {"ticks": ticks}


@app.task(base=Job, bind=True, name="test_slow")
def slow(self: Job, attempt: Attempt) -> dict[str, int]:
    """Ticks, and ends early when it is asked to."""
    return ticks_of(attempt)


@app.task(base=Job, bind=True, name="plugin_custom")
def plugin(self: Job, attempt: Attempt) -> dict[str, int]:
    """The same, under one of the few types that the public client can read."""
    return ticks_of(attempt)


@app.task(base=Job, bind=True, name="test_stepping", suspendable=True)
def stepping(self: Job, attempt: Attempt) -> dict[str, object]:
    """Ticks as often as the input says, with a checkpoint each time; says where it began."""
    steps = int(str(attempt.inputs[0]))
    done = int(str(attempt.checkpoint or 0))
    pause = threading.Event()
    for step in range(done + 1, steps + 1):
        pause.wait(TICK_S)
        attempt.progress(step, steps, checkpoint=step)
    return {"steps": steps, "began_after": done}


@app.task(base=Job, bind=True, name="test_flaky")
def flaky(self: Job, attempt: Attempt) -> dict[str, int]:
    """Loses its connection on every attempt but the third; a library complains of that."""
    logging.getLogger("library").warning("the line is bad")
    if attempt.number < 3:
        raise ConnectionError("the line went dead")
    return {"attempt": attempt.number}


@app.task(base=Job, bind=True, name="test_hopeless")
def hopeless(self: Job, attempt: Attempt) -> None:
    """Can never succeed."""
    raise PermanentError("The moon is not made of cheese.")


@app.task(base=Job, bind=True, name="test_spared")
def spared(self: Job, attempt: Attempt) -> int:
    """How many objects of this process the garbage collector never looks at."""
    return gc.get_freeze_count()


@app.task(base=Job, bind=True, name="test_deaf")
def deaf(self: Job, attempt: Attempt) -> None:
    """Ticks as often as the input says and never looks at anything."""
    pause = threading.Event()
    for _ in range(int(str(attempt.inputs[0]))):
        pause.wait(TICK_S)


@app.task(base=Job, bind=True, name="test_idle")
def idle(self: Job, attempt: Attempt) -> None:
    """Finds nothing to do."""
    raise SkippedError("There was nothing to do.")


@app.task(base=Job, bind=True, name="test_fit")
def fit(self: Job, attempt: Attempt) -> None:
    """One call into C that takes minutes: a clustering of as many points as the input says."""
    points = np.random.default_rng(7).normal(size=(int(str(attempt.inputs[0])), 32))
    KMeans(n_clusters=200, n_init=50, max_iter=1_000, tol=0).fit(points)
