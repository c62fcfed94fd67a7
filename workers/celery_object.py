"""What the Celery objects of all our processes share: configuration, logs, Beat's first tick.

Making one opens no connection and reads no environment: Celery asks for the configuration when it
first needs it.
"""

from typing import Any, Final

from celery import Celery, signals
from celery.beat import Service

from app.broker import CONTROL_QUEUE, celery_configuration
from app.log import configure_logging
from app.settings import load_settings
from beat_schedule import BEAT_SCHEDULE

NAME: Final = "waybill"


def make_app(*modules: str, with_jobs: bool) -> Celery:
    """One with the tasks of the modules, and with jobs also those of the setting `imports`."""

    def configuration() -> dict[str, Any]:
        settings = load_settings()
        return {
            **celery_configuration(settings),
            "beat_schedule": BEAT_SCHEDULE,
            "worker_consumer": "workers.consumer:Consumer",
            "imports": (*modules, *(settings.imports if with_jobs else ())),
        }

    app = Celery(NAME)
    app.add_defaults(configuration)
    return app


@signals.beat_init.connect
def _beat_once(sender: Service, **_: object) -> None:
    """Beat's first tick comes an interval after its start; health need not wait for it."""
    tick = BEAT_SCHEDULE["heartbeat"]
    sender.app.send_task(str(tick["task"]), queue=CONTROL_QUEUE, ignore_result=True)


@signals.setup_logging.connect
def _configure_logging(**_: object) -> None:
    configure_logging(load_settings())
