"""The one Celery object of the workers; Beat and Flower do with a lighter one (`clock_app`)."""

import gc

from celery import signals

from app import tracing
from workers import process, shutdown
from workers.celery_object import make_app
from workers.lease_keeper import LeaseKeeper
from workers.run_drain import RunDrain

JOB_MODULES = (
    "workers.jobs.batch",
    "workers.jobs.bulk_kill",
    "workers.jobs.removal",
    "workers.jobs.cluster",
    "workers.jobs.taxonomy",
    "workers.jobs.migration",
    "workers.control",
    "workers.maintenance",
    "workers.webhooks",
    "workers.handlers",
)

app = make_app(*JOB_MODULES, with_jobs=True)
app.steps["worker"].add(LeaseKeeper)
app.steps["worker"].add(RunDrain)


@signals.worker_ready.connect
def _listen(**_: object) -> None:
    shutdown.listen()


@signals.worker_shutting_down.connect
def _tell_children(**_: object) -> None:
    shutdown.begin()


@signals.worker_process_init.connect
def _spare_what_is_loaded(**_: object) -> None:
    """Python collects all generations only once the new objects are a quarter of the old ones. The
    old are the loaded libraries; until then the exceptions of failed jobs, which Celery leaves in
    cycles with their tracebacks, were 100 MiB a child.
    """
    gc.freeze()
    gc.collect()  # of nothing: Python learns by it how little is old from now on


@signals.worker_process_shutdown.connect
@signals.worker_shutdown.connect
def _send_what_is_left(**_: object) -> None:
    process.flush()
    tracing.stop()
