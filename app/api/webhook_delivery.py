"""Deliveries of a webhook: read, tested, sent again, forgotten."""

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, Field

from app.api.shape import webhook as shape
from app.api.webhook import PREFIX
from app.api.webhook_access import find_webhook
from app.api.webhook_answer import delivery_json, whole_delivery_json
from app.deliveries.delivery import ENDED, ErrorKind, Stage, Target, new_delivery
from app.deliveries.replay import MAX_REPLAYED
from app.errors import AlreadyExistsError
from app.events.event import CacheScope, Event, Scope, Subject
from app.events.type import EventType
from app.http.answer import answers
from app.http.body import Body, Integer, JsonObject
from app.http.example import example
from app.http.filtering import Filters
from app.http.idempotency import CREATES_IN_ORGANIZATION, IdempotentRoute
from app.http.listing import ListBody, ListParams, envelope, list_query
from app.http.place import Deleting, Place, Reading, Writing
from app.identity import new_id
from app.query.page import ListQuery
from app.receipts.draft import this_moment
from app.receipts.receipt import rfc3339
from app.stores import Held, Stores
from app.webhooks.channel import Channel
from app.webhooks.endpoint import Webhook

router = APIRouter(prefix=PREFIX, tags=["webhooks"], route_class=IdempotentRoute)

Ended = Annotated[list[shape.EndedStatus], Field(min_length=1, max_length=len(ENDED))]
Word = Annotated[str, Field(max_length=128)]
# What was delivered is sent again only where somebody asks for it.
UNDELIVERED: Final = (Stage.EXHAUSTED, Stage.REFUSED, Stage.SKIPPED)


class Selection(Body):
    """Which deliveries; what is left out does not matter."""

    event_type: Word | None = None
    event_id: Word | None = None
    task_id: Word | None = None
    error_kind: ErrorKind | None = None
    created_from: AwareDatetime | None = None
    created_before: AwareDatetime | None = None
    filters: Filters | None = None

    def query(self, limit: int = MAX_REPLAYED) -> ListQuery:
        """The same as a list takes it."""
        times = [
            {"field": "created_at", "operator": operator, "value": at.isoformat()}
            for operator, at in (("gte", self.created_from), ("lt", self.created_before))
            if at is not None
        ]
        asked: list[object] = [*times, *([] if self.filters is None else [self.filters])]
        return ListQuery(filters={"AND": asked} if asked else None, also=self.said, limit=limit)

    @property
    def said(self) -> Mapping[str, object]:
        """The shorthand without what is None."""
        names = ("event_type", "event_id", "task_id", "error_kind")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


class ReplayDeliveries(Selection):
    """What is sent again, the oldest first: by default what was not delivered."""

    model_config = example(
        {"status": ["exhausted"], "created_from": "2026-01-31T00:00:00Z", "limit": 500}
    )

    status: Ended | None = None
    limit: Integer = Field(MAX_REPLAYED, ge=1, le=MAX_REPLAYED)


class PurgeDeliveries(Selection):
    """What is forgotten: by default all that has ended."""

    model_config = example({"status": ["delivered"], "created_before": "2026-01-31T00:00:00Z"})

    status: Ended | None = None


class ListDeliveries(ListBody):
    """What a list of deliveries takes."""

    model_config = example({"status": "exhausted"})

    status: shape.DeliveryStatus | None = None
    event_type: Word | None = None
    event_id: Word | None = None
    task_id: Word | None = None
    error_kind: ErrorKind | None = None

    @property
    def shorthand(self) -> Mapping[str, object]:
        names = ("status", "event_type", "event_id", "task_id", "error_kind")
        return {name: getattr(self, name) for name in names}


@router.post("/{webhook_identifier}/deliveries/list", responses=answers(shape.DeliveryPage))
def list_deliveries(
    webhook_identifier: str,
    request: Request,
    place: Reading,
    stores: Held,
    params: Annotated[ListParams, Query()],
    body: ListDeliveries | None = None,
) -> JsonObject:
    """A page of the webhook's deliveries, the newest first; of a deleted one by its id."""
    body = body or ListDeliveries()
    query = list_query(params, body, body.shorthand)
    page = stores.post.log.list(_log_of(stores, place, webhook_identifier), query)
    return envelope(request, page.map(delivery_json))


@router.get("/{webhook_identifier}/deliveries", responses=answers(shape.DeliveryPage))
def get_deliveries(
    webhook_identifier: str,
    request: Request,
    place: Reading,
    stores: Held,
    params: Annotated[ListParams, Query()],
) -> JsonObject:
    """The same list without filters."""
    return list_deliveries(webhook_identifier, request, place, stores, params)


@router.post(
    "/{webhook_identifier}/deliveries/replay",
    openapi_extra=CREATES_IN_ORGANIZATION,
    responses=answers(shape.ReplayedDeliveries, {409: "Nothing is sent to the webhook now."}),
)
def replay_deliveries(
    webhook_identifier: str, body: ReplayDeliveries, place: Writing, stores: Held
) -> JsonObject:
    """Sends again what the filters select, 50 a second; the answer says how many are left."""
    webhook = _open_webhook(stores, place, webhook_identifier)
    stages = tuple(map(Stage, body.status or UNDELIVERED))
    found = stores.post.replay.some(webhook.webhook_id, body.query(body.limit), stages)
    stores.ledger.cache.nudge()
    return {
        "replayed": found.replayed,
        "remaining": found.remaining,
        "last_due_at": rfc3339(found.last_due_at),
    }


@router.post("/{webhook_identifier}/deliveries/purge", responses=answers(shape.PurgedDeliveries))
def purge_deliveries(
    webhook_identifier: str, body: PurgeDeliveries, place: Deleting, stores: Held
) -> JsonObject:
    """Forgets deliveries that have ended, with their log: 10,000 at most in one call."""
    webhook_id = _log_of(stores, place, webhook_identifier)
    stages = tuple(map(Stage, body.status or ENDED))
    return {"purged": stores.post.log.purge(webhook_id, body.query(), stages)}


@router.get(
    "/{webhook_identifier}/deliveries/{delivery_id}", responses=answers(shape.WholeDelivery)
)
def get_delivery(
    webhook_identifier: str, delivery_id: str, place: Reading, stores: Held
) -> JsonObject:
    """One delivery: what is sent, and every attempt."""
    webhook_id = _log_of(stores, place, webhook_identifier)
    return whole_delivery_json(stores.post.log.get(webhook_id, delivery_id))


@router.post(
    "/{webhook_identifier}/deliveries/{delivery_id}/replay",
    openapi_extra=CREATES_IN_ORGANIZATION,
    responses=answers(
        shape.WholeDelivery, {409: "Nothing is sent to the webhook now, or the log is full."}
    ),
)
def replay_delivery(
    webhook_identifier: str, delivery_id: str, place: Writing, stores: Held
) -> JsonObject:
    """Sends it again at once, under the same `webhook-id`; one that has not ended stays so."""
    webhook = _open_webhook(stores, place, webhook_identifier)
    delivery = stores.post.log.get(webhook.webhook_id, delivery_id)
    replayed = stores.post.replay.one(delivery)
    stores.ledger.cache.nudge()
    return whole_delivery_json(replayed)


@router.post(
    "/{webhook_identifier}/test",
    openapi_extra=CREATES_IN_ORGANIZATION,
    responses=answers(shape.WholeDelivery, {409: "Nothing is sent to the webhook now."}),
)
def test_webhook(webhook_identifier: str, place: Writing, stores: Held) -> JsonObject:
    """Sends the event `webhook.test`; read the delivery again to see what came of it."""
    webhook = _open_webhook(stores, place, webhook_identifier)
    event = _test_event(webhook, stores.post.webhooks.home(webhook))
    target = Target(webhook.webhook_id, Channel.WEBHOOK, webhook.webhook_id)
    row = new_delivery(event, event.to_bytes(), target, at=event.occurred_at)
    stored = stores.post.log.add(row)
    stores.ledger.cache.nudge()
    return whole_delivery_json(stored)


def _log_of(stores: Stores, place: Place, identifier: str) -> str:
    return stores.post.webhooks.require_known(identifier, namespace_ids=place.namespace_ids)


def _open_webhook(stores: Stores, place: Place, identifier: str) -> Webhook:
    webhook = find_webhook(stores, place, identifier)
    if not webhook.is_open:
        reason = f" ({webhook.disabled.reason})" if webhook.disabled else ""
        raise AlreadyExistsError(
            f"Nothing is sent to the webhook '{webhook.webhook_name}' now{reason}: "
            "set is_active to true first"
        )
    return webhook


def _test_event(webhook: Webhook, namespace_id: str) -> Event:
    return Event(
        event_id=new_id("evt"),
        event_type=EventType.TEST,
        occurred_at=this_moment(),
        namespace_id=namespace_id,
        subject=Subject("webhook", webhook.webhook_id),
        metadata={"webhook_id": webhook.webhook_id, "webhook_name": webhook.webhook_name},
        cache_scope=CacheScope(Scope.KEY, webhook.webhook_id),
    )
