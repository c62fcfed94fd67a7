"""Deleting what a bucket or a namespace held, after it has gone out of sight itself."""

from collections import Counter
from functools import partial

from app.removal import bucket, namespace
from app.resources.removal import Removal
from workers import process
from workers.attempt import Attempt
from workers.celery_app import app
from workers.job import Job


@app.task(base=Job, bind=True, name=bucket.TASK_TYPE, submittable=False, suspendable=True)
def delete_bucket(self: Job, attempt: Attempt) -> dict[str, int]:
    """How many rows of each kind there were in the bucket named by the one input."""
    database = process.current(self.app).database
    ranges = partial(
        bucket.contents, database, str(attempt.inputs[0]), namespace_id=attempt.namespace_id
    )
    return remove(attempt, Removal(database, ranges))


@app.task(base=Job, bind=True, name=namespace.TASK_TYPE, submittable=False, suspendable=True)
def delete_namespace(self: Job, attempt: Attempt) -> dict[str, int]:
    """The same of the namespace that is the one input."""
    database = process.current(self.app).database
    ranges = partial(namespace.contents, database, str(attempt.inputs[0]))
    return remove(attempt, Removal(database, ranges))


def remove(attempt: Attempt, removal: Removal) -> dict[str, int]:
    """Deletes all of it from the last checkpoint on; how many rows of each kind there were."""
    counts = Counter(attempt.checkpoint if isinstance(attempt.checkpoint, dict) else {})
    total = counts.total() + removal.count()
    for step in removal.steps():
        counts[step.rows] += len(step.ids)
        effect = partial(removal.delete, step)
        attempt.commit(effect, counts.total(), max(total, counts.total()), checkpoint=dict(counts))
    return dict(counts)
