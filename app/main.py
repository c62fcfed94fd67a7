"""The API process: `uvicorn app.main:create_app --factory`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
from celery import Celery
from fastapi import FastAPI
from pymongo.errors import PyMongoError
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from app.access.permission import Permission
from app.api import (
    batch,
    batch_run,
    bucket,
    collection,
    document,
    health,
    namespace,
    stored_object,
    task,
    task_control,
)
from app.broker import celery_configuration
from app.database import connect
from app.health import HealthCheck
from app.http import edge
from app.log import configure_logging
from app.receipts.ledger import Ledger
from app.receipts.reading import ReceiptReader
from app.settings import Settings, load_settings
from app.stores import Stores
from waybill import __version__

log = structlog.get_logger(__name__)

# A request waits this long for a primary, as long as an election takes, before it answers 503.
DATABASE_WAIT_S: Final = 4.0
DATABASE_ANSWER_S: Final = 6.0  # a little more than the longest list may take
START_PATIENCE_S: Final = 60

ROUTERS: Final = (
    health.router,
    namespace.router,
    bucket.router,
    stored_object.router,
    batch.router,
    batch_run.router,
    collection.router,
    document.router,
    task.router,
    task_control.router,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; its connections open when it starts and close when it stops."""
    settings = settings or load_settings()
    configure_logging(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = connect(settings, role="api", wait_s=DATABASE_WAIT_S, answer_s=DATABASE_ANSWER_S)
        producer = Celery("waybill-api", set_as_current=False)
        producer.conf.update(celery_configuration(settings))
        ledger = Ledger.open(settings, database, producer)
        reader = ReceiptReader.open(settings, ledger.receipts, ledger.queue)
        app.state.stores = Stores.over(database, settings, ledger, reader)
        app.state.health = HealthCheck(settings, database, reader, ledger.pulse)
        _prepare(app.state.stores)
        log.info("api.started", version=__version__)
        yield
        await reader.close()
        producer.close()
        database.client.close()

    app = FastAPI(title="Waybill", version=__version__, lifespan=lifespan)
    edge.install(app, settings)
    for router in ROUTERS:
        app.include_router(router)
    return app


@retry(
    retry=retry_if_exception_type(PyMongoError),
    stop=stop_after_delay(START_PATIENCE_S),
    wait=wait_fixed(1),
    reraise=True,
)
def _prepare(stores: Stores) -> None:
    """Makes what must be there before the first request; waits for a MongoDB that starts too."""
    stores.ensure_indexes()
    stores.namespaces.ensure_default()
    if stores.settings.api_key is not None:
        stores.keys.register(stores.settings.api_key.get_secret_value(), "admin", Permission.ADMIN)
