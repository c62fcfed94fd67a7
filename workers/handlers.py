"""Handlers of events in here: what follows from documents that were written, for all to read.

Each is told of an event at least once, and may hear of it again: doing it twice changes nothing.
"""

from collections.abc import Sequence
from contextlib import closing
from datetime import datetime

from celery import Task

from app.caching.answer import AnswerCache
from app.deliveries.delivery import Delivery
from app.deliveries.internal import Notice
from app.events.event import Scope
from app.resources.schema_sync import SchemaSync
from app.webhooks.channel import Channel
from workers import process
from workers.celery_app import app
from workers.delivery.internal import serve


@app.task(bind=True, name="waybill.invalidate_caches")
def invalidate_caches(self: Task) -> None:
    """Drops the answers that events made old, and no others."""
    worker = process.current(self.app)
    with closing(AnswerCache.open(worker.settings)) as answers:

        def drop(deliveries: Sequence[Delivery]) -> None:
            answers.drop({Notice.from_body(each.body).id for each in deliveries})

        serve(worker, Channel.CACHE, drop)


@app.task(bind=True, name="waybill.update_schemas")
def update_schemas(self: Task) -> None:
    """Brings the schemas of collections up to date, once for all that was written meanwhile."""
    worker = process.current(self.app)
    sync = SchemaSync(worker.database)

    def follow(deliveries: Sequence[Delivery]) -> None:
        written: dict[str, datetime] = {}
        for notice in (Notice.from_body(each.body) for each in deliveries):
            is_one = notice.scope is not Scope.NAMESPACE
            for collection_id in [notice.id] if is_one else sync.of_namespace(notice.id):
                earlier = written.get(collection_id, notice.occurred_at)
                written[collection_id] = max(earlier, notice.occurred_at)
        sync.follow(written)

    serve(worker, Channel.SCHEMA, follow)
