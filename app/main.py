"""The API process: `uvicorn app.main:create_app --factory`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import structlog
from celery import Celery
from fastapi import APIRouter, FastAPI
from pymongo.errors import PyMongoError
from starlette.concurrency import run_in_threadpool
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from app import tracing
from app.access.permission import Permission
from app.api import (
    batch,
    batch_run,
    bucket,
    callback_secret,
    cluster,
    cluster_run,
    cluster_view,
    collection,
    document,
    health,
    key,
    metrics,
    migration,
    migration_run,
    namespace,
    run,
    stored_object,
    task,
    task_callback,
    task_control,
    task_watch,
    taxonomy,
    taxonomy_run,
    webhook,
    webhook_delivery,
)
from app.api.tag import DESCRIPTION, TAGS
from app.broker import celery_configuration
from app.database import connect
from app.health import HealthCheck
from app.http import docs, edge
from app.http.openapi import Api
from app.http.trace import Traced
from app.http.watching import told_of_stop
from app.log import configure_logging
from app.metrics.request import CountRequests, RequestCounts
from app.metrics.snapshot import Observer
from app.receipts.ledger import Ledger
from app.receipts.reading import ReceiptReader
from app.receipts.watch import Watch
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
    metrics.router,
    key.router,
    callback_secret.router,  # before the webhooks, one of which it would be
    webhook.router,
    webhook_delivery.router,
    migration.router,  # before the namespaces, one of which `migrations` would be
    migration_run.router,
    namespace.router,
    bucket.router,
    stored_object.router,
    batch.router,
    batch_run.router,
    collection.router,
    document.router,
    cluster.router,
    cluster_run.router,
    cluster_view.router,
    taxonomy.router,
    taxonomy_run.router,
    task.router,
    task_callback.router,
    task_control.router,
    task_watch.router,
    run.router,
)


def _included() -> APIRouter:
    whole = APIRouter(generate_unique_id_function=lambda route: route.name)
    for router in ROUTERS:
        whole.include_router(router)
    return whole


# FastAPI works out what it includes at the first request. Applications of one process share that.
_API: Final = _included()


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
        app.state.watch = watch = Watch.open(settings, reader, ledger.receipts)
        app.state.stores = Stores.over(database, settings, ledger, reader)
        app.state.health = HealthCheck(settings, database, reader, ledger.pulse)
        heartbeat = timedelta(seconds=settings.heartbeat_s)
        app.state.observer = Observer(ledger, app.state.health, heartbeat=heartbeat)
        _prepare(app.state.stores)
        tracing.start(settings, role="api")
        log.info("api.started", version=__version__)
        async with app.state.stores.last_use.writing(), watch.running():
            with told_of_stop(watch.leave):
                yield
        await app.state.stores.rate_limiter.close()
        app.state.stores.answers.close()
        await run_in_threadpool(app.state.stores.runs.close)  # it may wait for a connection
        await reader.close()
        producer.close()
        database.client.close()
        tracing.stop()

    app = Api(
        title="Waybill",
        version=__version__,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        servers=[{"url": "/", "description": "This server"}],
        docs_url=None,
        redoc_url=None,
        routes=[*task_watch.first.routes, *_API.routes],
        lifespan=lifespan,
    )
    edge.install(app, settings)
    docs.install(app)
    app.state.requests = RequestCounts()
    if settings.otel_endpoint is not None:
        app.add_middleware(Traced)
    app.add_middleware(CountRequests, counts=app.state.requests)
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
