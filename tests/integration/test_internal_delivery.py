"""Deliveries to handlers in here."""

from collections.abc import Sequence

from pymongo.database import Database

from app.database import Document, server_time
from app.deliveries.delivery import Delivery, Target, new_delivery
from app.deliveries.mailbox import Ring
from app.deliveries.post import Post
from app.receipts.ledger import Ledger
from app.receipts.tally import Field, Measure
from app.webhooks.channel import INTERNAL, Channel, internal_mailbox
from tests.integration.deliveries import new_event, settings_for
from workers.delivery.desk import CALL_EVERY
from workers.delivery.internal import serve
from workers.process import WorkerProcess


def test_a_page_that_raises_is_retried_and_each_event_is_handled_in_order(
    database: Database[Document], mongo_url: str, redis_url: str, ledger: Ledger
) -> None:
    settings = settings_for(database, mongo_url, redis_url, 1)
    worker, post = WorkerProcess.of(settings, database, ledger), Post.open(database, settings)
    target = Target(internal_mailbox(Channel.CACHE), Channel.CACHE)
    at = server_time(database)
    events = [new_event(at, "tsk_1", number) for number in range(3)]
    post.deliveries.add([new_delivery(event, b"{}", target, at=at) for event in events])
    post.mailboxes.ring([Ring(target.mailbox_id, Channel.CACHE, at)])
    assert post.mailboxes.call(INTERNAL, every=CALL_EVERY) == [Channel.CACHE]
    assert post.mailboxes.call(INTERNAL, every=CALL_EVERY) == []

    pages: list[list[str]] = []

    def handle(deliveries: Sequence[Delivery]) -> None:
        pages.append([each.event_id for each in deliveries])
        if len(pages) == 1:
            raise ValueError("once")

    serve(worker, Channel.SCHEMA, handle)
    assert pages == []
    before = ledger.cache.tally.read()
    serve(worker, Channel.CACHE, handle)
    assert pages == [[event.event_id for event in events]] * 2
    rows = list(database["deliveries"].find())
    assert {row["status"] for row in rows} == {"delivered"}
    first, second = rows[0]["attempts"]
    assert (first["error_kind"], second["outcome"]) == ("handler", "delivered")
    assert "ValueError" in first["error"]
    assert post.mailboxes.call(INTERNAL, every=CALL_EVERY) == []
    counted = ledger.cache.tally.read()
    for detail in ("delivered", "handler"):
        field = Field(Measure.DELIVERED, detail, Channel.CACHE)
        assert counted[field] - before.get(field, 0) >= 3
