"""Plain Celery, with results in Redis and the state STARTED.

Tuned as its documentation recommends for many short tasks: a prefetch of 64 a process. The broker
and the result backend are in its own variables CELERY_BROKER_URL and CELERY_RESULT_BACKEND.
"""

from celery import Celery

app = Celery("plain")
app.conf.update(
    task_track_started=True,
    worker_send_task_events=True,
    worker_prefetch_multiplier=64,
)


@app.task(name="noop")
def noop(*inputs: str) -> None:
    """Ends at once."""
