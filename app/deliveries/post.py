"""All that one process does with webhooks: its stores over one database, and what they may call."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from pymongo.database import Database

from app.database import Document
from app.deliveries.log import DeliveryLog
from app.deliveries.mailbox import MailboxStore
from app.deliveries.replay import Replay
from app.deliveries.store import DeliveryStore
from app.egress.guard import Guard
from app.settings import Settings
from app.webhooks.callback_secret import CallbackSecretStore
from app.webhooks.secret import Seal
from app.webhooks.url import webhook_guard
from app.webhooks.webhook import WebhookStore


@dataclass(frozen=True, slots=True)
class Post:
    """Webhooks, their mailboxes and their deliveries."""

    guard: Guard
    seal: Seal
    retention: timedelta
    webhooks: WebhookStore
    callback_secrets: CallbackSecretStore
    mailboxes: MailboxStore
    deliveries: DeliveryStore
    log: DeliveryLog
    replay: Replay

    @classmethod
    def open(cls, database: Database[Document], settings: Settings) -> Self:
        """Sends nothing yet. Without a `secret_key` whatever needs a secret raises."""
        retention = timedelta(days=settings.webhook_retention_days)
        seal, mailboxes = Seal(settings.secret_key), MailboxStore(database)
        return cls(
            guard=webhook_guard(settings),
            seal=seal,
            retention=retention,
            webhooks=WebhookStore(database, seal),
            callback_secrets=CallbackSecretStore(database, seal),
            mailboxes=mailboxes,
            deliveries=DeliveryStore(database, retention=retention),
            log=DeliveryLog(database, mailboxes, retention=retention),
            replay=Replay(database, mailboxes),
        )

    def ensure_indexes(self) -> None:
        """Makes every index of theirs; safe to repeat."""
        for store in (
            self.webhooks,
            self.callback_secrets,
            self.mailboxes,
            self.deliveries,
            self.log,
            self.replay,
        ):
            store.ensure_indexes()
