"""Webhooks: endpoints that are told of events, and the log of what was sent to them."""

from collections.abc import Mapping, Sequence
from typing import cast

from waybill.endpoint import D, endpoint, items
from waybill.flow.path import path_to
from waybill.flow.step import Flow, ItemFlow, fetch
from waybill.flow.verb import (
    UNSET,
    Unset,
    act,
    create,
    delete,
    fetched,
    get,
    put,
    said,
    walk,
)
from waybill.groups.listed import Listed
from waybill.types import (
    CallbackSecret,
    Deleted,
    Delivery,
    DeliveryStatus,
    JsonObject,
    ReplayedDeliveries,
    Webhook,
    WholeDelivery,
)


class Webhooks(Listed[D, Webhook]):
    """Webhooks of the client's namespace; of a client without one, of all the organization."""

    kind = Webhook
    parts = ("organizations", "webhooks")

    @endpoint
    def create(
        self,
        webhook_name: str,
        url: str,
        event_types: Sequence[str],
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        signing_secret: str | None = None,
        is_active: bool = True,
        idempotency_key: str | None = None,
    ) -> Flow[Webhook]:
        """A new webhook; its signing secret is in this answer and in no other."""
        configs = said(url=url, headers=headers, timeout=timeout_s, signing_secret=signing_secret)
        body = {
            "webhook_name": webhook_name,
            "event_types": list(event_types),
            "channels": [{"channel": "webhook", "configs": configs}],
            "is_active": is_active,
        }
        return fetched(Webhook, create(path_to(*self.parts), body, key=idempotency_key))

    @endpoint
    def get(self, webhook: str) -> Flow[Webhook]:
        """The webhook with this id or name."""
        return fetched(Webhook, get(path_to(*self.parts, webhook)))

    @endpoint
    def update(
        self,
        webhook: str,
        *,
        webhook_name: str | Unset = UNSET,
        url: str | Unset = UNSET,
        event_types: Sequence[str] | Unset = UNSET,
        headers: Mapping[str, str] | Unset = UNSET,
        timeout_s: float | Unset = UNSET,
        is_active: bool | Unset = UNSET,
    ) -> Flow[Webhook]:
        """Sets what is given: the webhook is read, and put back with it. `is_active=True` also
        opens one that was disabled. A header's value `redacted` keeps the one that is there.
        """
        path = path_to(*self.parts, webhook)
        there = cast(Webhook, (yield from fetch(get(path))))
        (channel,) = there["channels"]
        named = _given(url=url, headers=headers, timeout=timeout_s)
        body = {
            "webhook_name": there["webhook_name"],
            "event_types": there["event_types"],
            **_given(webhook_name=webhook_name, event_types=event_types, is_active=is_active),
            "channels": [{**channel, "configs": {**channel["configs"], **named}}],
        }
        path = path_to(*self.parts, there["webhook_id"])
        return cast(Webhook, (yield from fetch(put(path, body))))

    @endpoint
    def delete(self, webhook: str) -> Flow[Deleted]:
        """Deletes the webhook; its log stays readable by its id until its retention ends."""
        return fetched(Deleted, delete(path_to(*self.parts, webhook)))

    @endpoint
    def test(self, webhook: str, *, idempotency_key: str | None = None) -> Flow[WholeDelivery]:
        """Sends the event `webhook.test`; read the delivery again to see what came of it."""
        path = path_to(*self.parts, webhook, "test")
        return fetched(WholeDelivery, create(path, {}, key=idempotency_key))

    @endpoint
    def rotate_secret(
        self,
        webhook: str,
        *,
        overlap_s: int | None = None,
        signing_secret: str | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Webhook]:
        """The webhook with a new secret, in this answer only; those before it sign as well for
        `overlap_s` more, a day by default.
        """
        body = said(overlap_s=overlap_s, signing_secret=signing_secret)
        path = path_to(*self.parts, webhook, "rotate-secret")
        return fetched(Webhook, create(path, body, key=idempotency_key))

    @items
    def deliveries(
        self,
        webhook: str,
        *,
        status: DeliveryStatus | None = None,
        event_type: str | None = None,
        filters: Mapping[str, object] | None = None,
        sort: Mapping[str, object] | None = None,
        page_size: int = 100,
    ) -> ItemFlow[Delivery]:
        """Its deliveries, the newest first, page by page; of a deleted webhook by its id."""
        body = said(status=status, event_type=event_type, filters=filters, sort=sort)
        path = path_to(*self.parts, webhook, "deliveries", "list")
        return walk(Delivery, path, body, page_size=page_size)

    @endpoint
    def delivery(self, webhook: str, delivery_id: str) -> Flow[WholeDelivery]:
        """One delivery: what is sent, and every attempt."""
        path = path_to(*self.parts, webhook, "deliveries", delivery_id)
        return fetched(WholeDelivery, get(path))

    @endpoint
    def replay(
        self, webhook: str, delivery_id: str, *, idempotency_key: str | None = None
    ) -> Flow[WholeDelivery]:
        """Sends one again, under the same `webhook-id`; one that has not ended stays as it is."""
        path = path_to(*self.parts, webhook, "deliveries", delivery_id, "replay")
        return fetched(WholeDelivery, create(path, key=idempotency_key))

    @endpoint
    def replay_many(
        self,
        webhook: str,
        *,
        status: Sequence[DeliveryStatus] | None = None,
        filters: Mapping[str, object] | None = None,
        limit: int = 1_000,
        idempotency_key: str | None = None,
    ) -> Flow[ReplayedDeliveries]:
        """Sends again what the filters select, by default of all that was not delivered: the
        oldest first, 50 a second. Call it until `remaining` is 0.
        """
        body = said(status=status, filters=filters, limit=limit)
        path = path_to(*self.parts, webhook, "deliveries", "replay")
        return fetched(ReplayedDeliveries, create(path, body, key=idempotency_key))

    @endpoint
    def purge(
        self,
        webhook: str,
        *,
        status: Sequence[DeliveryStatus] | None = None,
        filters: Mapping[str, object] | None = None,
    ) -> Flow[int]:
        """Forgets deliveries that have ended and that the filters select: how many, at most
        10,000 in one call.
        """
        path = path_to(*self.parts, webhook, "deliveries", "purge")
        answer = yield from fetch(act(path, said(status=status, filters=filters), repeatable=True))
        return cast(int, answer["purged"])

    @endpoint
    def callback_secret(self) -> Flow[CallbackSecret]:
        """The secret that signs the callbacks of the namespace's tasks (`webhook_url`)."""
        return fetched(CallbackSecret, get(path_to(*self.parts, "callback-secret")))

    @endpoint
    def rotate_callback_secret(
        self, *, overlap_s: int | None = None, idempotency_key: str | None = None
    ) -> Flow[CallbackSecret]:
        """A new one; those before it sign as well for `overlap_s` more, a day by default."""
        path = path_to(*self.parts, "callback-secret", "rotate")
        call = create(path, said(overlap_s=overlap_s), key=idempotency_key)
        return fetched(CallbackSecret, call)


def _given(**fields: object) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not UNSET}
