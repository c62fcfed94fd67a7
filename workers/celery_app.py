"""The one Celery object of the workers, Beat and Flower.

Importing it opens no connection and reads no environment: Celery asks for the configuration
when it first needs it.
"""

from typing import Any

from celery import Celery, signals

from app import tracing
from app.broker import CONTROL_QUEUE, celery_configuration
from app.log import configure_logging
from app.settings import load_settings
from beat_schedule import BEAT_SCHEDULE
from workers import shutdown
from workers.lease_keeper import LeaseKeeper

JOB_MODULES = (
    "workers.jobs.batch",
    "workers.jobs.bulk_kill",
    "workers.jobs.removal",
    "workers.jobs.cluster",
    "workers.jobs.taxonomy",
    "workers.jobs.migration",
    "workers.control",
    "workers.maintenance",
)


def _configuration() -> dict[str, Any]:
    settings = load_settings()
    return {
        **celery_configuration(settings),
        "beat_schedule": BEAT_SCHEDULE,
        "imports": (*JOB_MODULES, *settings.imports),
    }


app = Celery("waybill")
app.add_defaults(_configuration)
app.steps["worker"].add(LeaseKeeper)


@signals.beat_init.connect
def _beat_once(**_: object) -> None:
    """Beat's first tick comes an interval after its start; health need not wait for it."""
    tick = BEAT_SCHEDULE["heartbeat"]
    app.send_task(str(tick["task"]), queue=CONTROL_QUEUE, ignore_result=True)


@signals.worker_ready.connect
def _listen(**_: object) -> None:
    shutdown.listen()


@signals.worker_shutting_down.connect
def _tell_children(**_: object) -> None:
    shutdown.begin()


@signals.worker_process_shutdown.connect
def _send_spans(**_: object) -> None:
    tracing.stop()


@signals.setup_logging.connect
def _configure_logging(**_: object) -> None:
    configure_logging(load_settings())
