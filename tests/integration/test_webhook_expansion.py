"""From what happened to a delivery for each who asked for it, whoever dies or races in between."""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

import pytest
from pydantic import SecretStr
from pymongo.database import Database

from app.database import Document
from app.deliveries.expansion import Expansion, callback_mailbox
from app.deliveries.mailbox import MailboxStore
from app.deliveries.store import DeliveryStore
from app.events.event import CacheScope, Event, Scope, Subject, event_id
from app.events.outbox import OutboxStore
from app.events.type import EventType
from app.identity import new_id
from app.receipts.draft import this_moment
from app.receipts.ledger import Ledger
from app.receipts.outbox import MAX_DATA_BYTES, NOTED_AT_ONCE, ReceiptOutbox, Untold
from app.receipts.store import Holder
from app.resources.namespace import NamespaceStore
from app.webhooks.channel import Channel
from app.webhooks.destination import Subscription
from app.webhooks.endpoint import Registration, Webhook
from app.webhooks.secret import Seal, make_key
from app.webhooks.webhook import WebhookStore
from tests.integration.receipts import COMPLETED, at_once, check_untold, claim, create, stored

URL = "https://example.com/hook"
KEPT = timedelta(days=1)
LATER = timedelta(seconds=7)
SEAL = Seal(SecretStr("k" * 32))


class DyingOutbox(ReceiptOutbox):
    """Dies after the deliveries were stored, before that is noted."""

    def told(self, told: Iterable[Untold]) -> None:
        raise ConnectionError


class SlowWebhooks(WebhookStore):
    """Once they are read, other things happen before anything else of the look."""

    def __init__(self, database: Database[Document], then: Callable[[], object]) -> None:
        super().__init__(database, SEAL)
        self._then = then

    def subscriptions(self) -> Sequence[Subscription]:
        found = super().subscriptions()
        self._then()
        return found


def expansion(
    ledger: Ledger, outbox: ReceiptOutbox | None = None, of: WebhookStore | None = None
) -> Expansion:
    database = ledger.receipts.tasks.database
    return Expansion(
        database,
        outbox or ReceiptOutbox(ledger.receipts),
        of or webhooks(database),
        DeliveryStore(database, retention=KEPT),
        MailboxStore(database),
        first_delays=dict.fromkeys(Channel, timedelta(0)) | {Channel.SCHEMA: LATER},
        retention=KEPT,
    )


def webhooks(database: Database[Document]) -> WebhookStore:
    return WebhookStore(database, SEAL)


def subscribe(
    database: Database[Document],
    *event_types: str,
    namespace_id: str | None = None,
    is_active: bool = True,
) -> Webhook:
    name = new_id("name")
    new = Registration(name, event_types, URL, {}, 10, is_active)
    return webhooks(database).create(namespace_id, new, make_key(), by="key:test")[0]


def deliveries(database: Database[Document], webhook: Webhook | None = None) -> list[Document]:
    query = {} if webhook is None else {"mailbox_id": webhook.webhook_id}
    return list(database["deliveries"].find(query).sort([("due_at", 1), ("sequence", 1)]))


def told(database: Database[Document], webhook: Webhook) -> list[str]:
    return [row["event_type"] for row in deliveries(database, webhook)]


def finished(ledger: Ledger, **changes: object) -> str:
    """A task that has run to its end."""
    receipt, by = claim(ledger, create(ledger, **changes))
    assert ledger.receipts.finish(receipt.task_id, by.token, COMPLETED, worker=by.worker)
    return receipt.task_id


def aged(database: Database[Document], task_id: str) -> str:
    """The task's news have waited for a while."""
    older = {"$subtract": ["$untold_since", 60_000]}
    database["tasks"].update_one({"_id": task_id}, [{"$set": {"untold_since": older}}])
    return task_id


def collection_event(name: str, *, at: datetime) -> Event:
    kind = EventType.COLLECTION_UPDATED
    return Event(
        event_id=event_id(kind, cause=name, like=new_id("col")),
        event_type=kind,
        occurred_at=at,
        namespace_id="ns_test",
        subject=Subject("collection", name),
        metadata={},
        cache_scope=CacheScope(Scope.KEY, name),
    )


def test_each_is_told_of_what_it_asked_for_and_of_nothing_else(
    ledger: Ledger, database: Database[Document]
) -> None:
    every = subscribe(database, "*")
    ends = subscribe(database, "task.completed", "task.failed")
    here = subscribe(database, "*", namespace_id="ns_test")
    elsewhere = subscribe(database, "*", namespace_id="ns_other")
    both = subscribe(database, "*", "task.completed")
    task_id = finished(ledger)
    expansion(ledger).run()
    run = ["task.created", "task.started", "task.completed"]
    assert told(database, every) == told(database, here) == told(database, both) == run
    assert told(database, ends) == ["task.completed"]
    assert told(database, elsewhere) == []
    (row,) = deliveries(database, ends)
    body = json.loads(row["body"])
    assert (body["event_id"], body["subject"]["id"]) == (row["event_id"], task_id)
    assert (row["status"], row["task_id"], row["sequence"]) == ("pending", task_id, 3)
    mailbox = database["mailboxes"].find_one({"_id": ends.webhook_id})
    assert mailbox is not None
    assert mailbox["due_at"] >= row["due_at"]


def test_telling_twice_or_by_several_at_once_adds_nothing(
    ledger: Ledger, database: Database[Document]
) -> None:
    webhook = subscribe(database, "*")
    count = 30
    for _ in range(count):
        finished(ledger)
    at = this_moment()
    outbox = OutboxStore(database)
    outbox.telling(lambda _: None, lambda _: [collection_event("col_a", at=at)])
    with pytest.raises(ConnectionError):
        expansion(ledger, DyingOutbox(ledger.receipts)).run()
    at_once(4, lambda _: expansion(ledger).run())
    assert not expansion(ledger).run()
    rows = deliveries(database, webhook)
    assert len(rows) == len({row["event_id"] for row in rows}) == count * 3 + 1
    assert database["tasks"].count_documents({"untold_since": {"$exists": True}}) == 0
    assert database["outbox"].count_documents({"waiting_since": {"$exists": True}}) == 0
    assert database["outbox"].count_documents({"expire_at": {"$exists": True}}) == 1


def test_what_happens_while_an_endpoint_is_closed_is_kept_for_it(
    ledger: Ledger, database: Database[Document]
) -> None:
    idle = subscribe(database, "task.completed", is_active=False)
    disabled = subscribe(database, "task.completed")
    NamespaceStore(database).ensure_default()
    assert webhooks(database).disable(disabled.webhook_id, "it was gone")
    finished(ledger)
    expansion(ledger).run()
    rows = deliveries(database, idle) + deliveries(database, disabled)
    assert [row["status"] for row in rows] == ["skipped", "skipped"]
    assert all(row["expire_at"] == row["ended_at"] + KEPT for row in rows)
    assert database["mailboxes"].count_documents({}) == 0


def test_what_concerns_the_organization_no_namespace_is_told(
    ledger: Ledger, database: Database[Document]
) -> None:
    default = NamespaceStore(database).ensure_default().namespace_id
    whole, inside = (subscribe(database, "*", namespace_id=each) for each in (None, default))
    for each in (whole, inside):
        webhooks(database).disable(each.webhook_id, "It answered 410.")
    expansion(ledger).run()
    subjects = [
        {json.loads(row["body"])["subject"]["id"] for row in deliveries(database, each)}
        for each in (whole, inside)
    ]
    assert subjects == [{whole.webhook_id, inside.webhook_id}, {inside.webhook_id}]


def test_the_url_that_a_task_names_hears_of_its_end_alone(
    ledger: Ledger, database: Database[Document]
) -> None:
    task_id = finished(ledger, callback_url=URL)
    create(ledger, callback_url=URL)
    expansion(ledger).run()
    (row,) = deliveries(database)
    assert (row["event_type"], row["task_id"], row["url"]) == ("task.completed", task_id, URL)
    assert row["mailbox_id"] == callback_mailbox("ns_test", "https://EXAMPLE.com:443/other")
    assert row["mailbox_id"] != callback_mailbox("ns_other", URL)
    assert database["mailboxes"].count_documents({"_id": row["mailbox_id"]}) == 1


def test_documents_that_were_written_are_told_in_here_though_nobody_asked(
    ledger: Ledger, database: Database[Document]
) -> None:
    finished(ledger)
    data = {
        "batch_id": "btch_a" + "a" * MAX_DATA_BYTES,  # more than what goes along with an event
        "bucket_id": "bkt_a",
        "collection_ids": ["col_a"],
    }
    finished(ledger, task_type="api_buckets_batches_process", additional_data=data)
    expansion(ledger).run()
    rows = deliveries(database)
    assert [row["channel"] for row in rows] == ["cache", "schema"]
    assert {row["event_type"] for row in rows} == {"collection.documents.written"}
    assert rows[1]["due_at"] == rows[0]["due_at"] + LATER
    mailboxes = {row["_id"]: row["due_at"] for row in database["mailboxes"].find()}
    assert {row["mailbox_id"] for row in rows} == mailboxes.keys()
    assert all(mailboxes[row["mailbox_id"]] >= row["due_at"] for row in rows)


def test_a_new_webhook_is_told_of_nothing_that_was_before_it(
    ledger: Ledger, database: Database[Document]
) -> None:
    before = this_moment() - timedelta(hours=1)
    OutboxStore(database).telling(lambda _: None, lambda _: [collection_event("old", at=before)])
    webhook = subscribe(database, "*")
    expansion(ledger).run()
    assert deliveries(database, webhook) == []


def test_a_webhook_that_is_made_during_a_look_misses_nothing(
    ledger: Ledger, database: Database[Document]
) -> None:
    other = subscribe(database, "*")
    receipt, by = claim(ledger, create(ledger))
    made: list[Webhook] = []

    def meanwhile() -> None:
        made.append(subscribe(database, "task.completed"))
        ledger.receipts.finish(receipt.task_id, by.token, COMPLETED, worker=by.worker)

    expansion(ledger, of=SlowWebhooks(database, meanwhile)).run()
    expansion(ledger).run()
    assert told(database, made[0]) == ["task.completed"]
    assert told(database, other) == ["task.created", "task.started", "task.completed"]


def test_while_nobody_asks_for_tasks_only_those_that_concern_somebody_are_told(
    ledger: Ledger, database: Database[Document]
) -> None:
    subscribe(database, "object.created")
    looks = expansion(ledger)
    looks.run()
    old, new = aged(database, finished(ledger)), finished(ledger)
    named = finished(ledger, callback_url=URL)
    looks.run()
    assert [row["task_id"] for row in deliveries(database)] == [named]
    assert "untold_since" not in stored(ledger, old)
    check_untold(stored(ledger, old))
    assert "untold_since" in stored(ledger, new)

    webhook = subscribe(database, "task.completed")
    assert looks.run()  # there is more: the next look comes at once
    assert not looks.run()
    assert [row["task_id"] for row in deliveries(database, webhook)] == [new]


def test_a_long_line_that_concerns_nobody_is_noted_in_few_looks(
    ledger: Ledger, database: Database[Document]
) -> None:
    looks = expansion(ledger)
    looks.run()
    task = stored(ledger, aged(database, finished(ledger)))
    others = [{**task, "_id": f"{task['_id']}_{number}"} for number in range(NOTED_AT_ONCE)]
    database["tasks"].insert_many(others)
    assert not looks.run()
    assert database["tasks"].count_documents({"untold_since": {"$exists": True}}) == 0
    check_untold(stored(ledger, others[-1]["_id"]))


def test_a_first_webhook_that_is_made_during_a_look_misses_nothing(
    ledger: Ledger, database: Database[Document]
) -> None:
    made: list[Webhook] = []
    running: list[Holder] = []

    def meanwhile() -> None:
        for by in running:
            made.append(subscribe(database, "task.completed"))
            ledger.receipts.finish(task_id, by.token, COMPLETED, worker=by.worker)
        running.clear()

    looks = expansion(ledger, of=SlowWebhooks(database, meanwhile))
    looks.run()
    receipt, by = claim(ledger, create(ledger))
    task_id = aged(database, receipt.task_id)
    running.append(by)
    for _ in range(3):
        looks.run()
    assert told(database, made[0]) == ["task.completed"]


def test_events_of_a_task_are_due_by_when_they_happened_whoever_tells_of_them(
    ledger: Ledger, database: Database[Document]
) -> None:
    webhook = subscribe(database, "*")
    task_id = finished(ledger)
    expansion(ledger).run()
    due = [row["due_at"] for row in deliveries(database, webhook)]
    assert due == [entry["at"] for entry in stored(ledger, task_id)["history"]]


def test_a_receipt_that_is_locked_holds_nobody_up(
    ledger: Ledger, database: Database[Document]
) -> None:
    webhook = subscribe(database, "*")
    first, second = create(ledger), create(ledger)
    with database.client.start_session() as job:
        job.start_transaction()
        lock = {"$set": {"locked": True}}
        database["tasks"].update_one({"_id": first.task_id}, lock, session=job)
        expansion(ledger).run()
        # Waiting for it would have lasted until MongoDB had ended the transaction.
        job.commit_transaction()
    rows = deliveries(database, webhook)
    assert {row["task_id"] for row in rows} == {first.task_id, second.task_id}
    expansion(ledger).run()
    assert deliveries(database, webhook) == rows
    assert database["tasks"].count_documents({"untold_since": {"$exists": True}}) == 0


def test_what_an_api_stores_whose_clock_is_fast_waits_for_nothing(
    ledger: Ledger, database: Database[Document]
) -> None:
    webhook = subscribe(database, "*")
    soon = this_moment() + timedelta(minutes=5)
    OutboxStore(database).telling(lambda _: None, lambda _: [collection_event("new", at=soon)])
    receipt = create(ledger)
    times = dict.fromkeys(("created_at", "updated_at", "untold_since", "history.0.at"), soon)
    database["tasks"].update_one({"_id": receipt.task_id}, {"$set": times})
    claim(ledger, receipt)
    expansion(ledger).run()
    rows = deliveries(database, webhook)
    assert sorted(row["event_type"] for row in rows) == [
        "collection.updated",
        "task.created",
        "task.started",
    ]
    assert all(row["due_at"] == row["created_at"] for row in rows)
