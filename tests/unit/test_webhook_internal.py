"""Which events handlers in here are told of, and what they read of their bodies."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import pytest

from app.deliveries.internal import Notice, internal_channels
from app.events.event import CacheScope, Event, Scope, Subject
from app.events.resource import Kind, Thing, change, creation, deletion
from app.events.type import EventType
from app.webhooks.channel import Channel

AT: Final = datetime(2026, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC)
WRITTEN: Final = Event(
    event_id="evt_1",
    event_type=EventType.DOCUMENTS_WRITTEN,
    occurred_at=AT,
    namespace_id="ns_1",
    subject=Subject("collection", "col_1"),
    metadata={},
    cache_scope=CacheScope(Scope.COLLECTION, "col_1"),
)
OPENED: Final = replace(
    WRITTEN,
    event_type=EventType.MIGRATION_COMPLETED,
    cache_scope=CacheScope(Scope.NAMESPACE, "ns_2"),
)


@pytest.mark.parametrize("event", [WRITTEN, OPENED], ids=lambda event: event.event_type)
def test_documents_concern_answers_and_schemas(event: Event) -> None:
    assert internal_channels(event) == (Channel.CACHE, Channel.SCHEMA)
    notice = Notice.from_body(event.to_bytes())
    assert notice == Notice(event.cache_scope.scope, event.cache_scope.id, AT)


def test_standing_things_concern_answers_or_nothing() -> None:
    collection = Thing.named(Kind.COLLECTION, "col_1", "c", namespace_id="ns_1")
    assert internal_channels(creation(collection, AT)) == ()
    assert internal_channels(change(collection, AT)) == (Channel.CACHE,)
    assert internal_channels(deletion(collection, AT)) == (Channel.CACHE,)
    cluster = Thing.named(Kind.CLUSTER, "clust_1", "k", namespace_id="ns_1")
    assert internal_channels(change(cluster, AT)) == ()


def test_a_cause_is_told_of_once() -> None:
    thing = Thing.named(Kind.TAXONOMY, "tax_1", "t", namespace_id="ns_1")
    assert creation(thing, AT) == creation(thing, AT)
    ids = {change(thing, AT).event_id, change(thing, AT).event_id, deletion(thing, AT).event_id}
    assert len(ids) == 3
    assert change(thing, AT, cause="taxv_1") == change(thing, AT, cause="taxv_1")
