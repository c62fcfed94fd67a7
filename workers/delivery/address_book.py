"""Where the deliveries of a mailbox go."""

from typing import Protocol

from app.deliveries.delivery import Delivery
from app.settings import Settings
from app.webhooks.callback_secret import CallbackSecretStore
from app.webhooks.destination import Destination
from app.webhooks.webhook import WebhookStore


class AddressBook(Protocol):
    """What dispatchers ask for each page of a mailbox's rows, so that changes hold soon."""

    def destination(self, delivery: Delivery) -> Destination | None:
        """Where the delivery goes now; None where its receiver is closed or gone.

        A `WaybillError` where it cannot be signed in here.
        """

    def disable(self, webhook_id: str, reason: str, *, url: str) -> bool:
        """Closes an endpoint that fails for too long, or wants no more; says whether it did.

        One that has another URL by now stays as it is. Safe to repeat.
        """


class StoredAddressBook:
    """Webhooks as their owners have set them up, and the callbacks that tasks named."""

    def __init__(
        self, webhooks: WebhookStore, callbacks: CallbackSecretStore, settings: Settings
    ) -> None:
        self._webhooks = webhooks
        self._callbacks = callbacks
        self._timeout_s = settings.webhook_timeout_s

    def destination(self, delivery: Delivery) -> Destination | None:
        """As `AddressBook` promises."""
        if delivery.webhook_id is not None:
            return self._webhooks.destination(delivery.webhook_id)
        if delivery.url is None:
            return None
        keys = self._callbacks.keys(delivery.namespace_id)
        return Destination(delivery.url, {}, self._timeout_s, keys) if keys else None

    def disable(self, webhook_id: str, reason: str, *, url: str) -> bool:
        """As `AddressBook` promises."""
        return self._webhooks.disable(webhook_id, reason, url=url)
