"""The webhooks in MongoDB: made, changed, rotated, disabled, removed."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.database import Document, insert_once
from app.errors import AlreadyExistsError, BadRequestError, NotFoundError
from app.events.event import CacheScope, Event, Scope, Subject, event_id
from app.events.outbox import OutboxStore
from app.events.type import EventType
from app.identity import new_id
from app.query.condition import joined
from app.query.page import ListQuery, Page, list_page
from app.receipts.draft import this_moment
from app.resources.namespace import DEFAULT_NAME, NamespaceStore
from app.webhooks.destination import Destination, Subscription
from app.webhooks.endpoint import FIELDS, Registration, Revealed, Webhook
from app.webhooks.keyring import Keyring, SealedKey
from app.webhooks.secret import Seal, write_secret

COLLECTION: Final = "webhooks"
# Only what was deleted has no name, and so names are free again.
THERE: Final = {"webhook_name": {"$exists": True}}

INDEXES: Final = [
    IndexModel(
        [("namespace_id", ASCENDING), ("webhook_name", ASCENDING)],
        unique=True,
        partialFilterExpression=THERE,
    ),
    IndexModel([("namespace_id", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)]),
    IndexModel([("created_at", DESCENDING), ("_id", DESCENDING)]),
    IndexModel([("expire_at", ASCENDING)], expireAfterSeconds=0),
]

NamespaceIds = Collection[str] | None


class WebhookStore:
    """The collection `webhooks`. `namespace_ids` are those that a caller may see; None: all, and
    webhooks of all the organization too.
    """

    def __init__(self, database: Database[Document], seal: Seal) -> None:
        self._webhooks = database[COLLECTION]
        self._namespaces = NamespaceStore(database)
        self._outbox = OutboxStore(database)
        self._seal = seal

    def ensure_indexes(self) -> None:
        """Makes names unique in their namespace, and lists fast; safe to repeat."""
        self._webhooks.create_indexes(INDEXES)

    def create(
        self, namespace_id: str | None, new: Registration, key: bytes, *, by: str
    ) -> tuple[Webhook, Revealed]:
        """Stores a webhook that `key` signs for; an earlier run of the request finds its own.

        `AlreadyExistsError` where the name is taken, or that run's webhook has been deleted or
        rotated since.
        """
        full_id, at = new_id("wh"), this_moment()
        first = SealedKey(full_id, self._seal.seal(key), at)
        document = {
            # The public client wants 16 digits: the time within a minute, and 32 random bits.
            "_id": f"wh_{full_id[3:11]}{full_id[-8:]}",
            "made_as": full_id,
            "namespace_id": namespace_id,
            **self._said(new),
            "disabled": None,
            "keyring": Keyring.first(first).to_document(),
            "created_at": at,
            "created_by": by,
            "updated_at": at,
        }
        try:
            stored = insert_once(self._webhooks, document)
        except DuplicateKeyError as exc:
            raise _taken(new.webhook_name) from exc
        if stored.get("made_as") != full_id:
            raise AlreadyExistsError(
                "This request was answered before, and its webhook deleted: send it under another "
                "Idempotency-Key"
            )
        webhook = Webhook.from_document(stored)
        webhook.keyring.repeats(full_id)
        # What the request itself says: another's header, set since, is not shown to it.
        return webhook, Revealed(self._secret(webhook), new.headers)

    def get(self, identifier: str, *, namespace_ids: NamespaceIds) -> Webhook:
        """The webhook with this id or name, an id going before a name; or `NotFoundError`.

        A name that two namespaces have is the organization's own webhook's, or `BadRequestError`.
        """
        scope = _scope(namespace_ids)
        found = self._webhooks.find_one(joined([{"_id": identifier}, scope]))
        if found is None:
            named = joined([{"webhook_name": identifier}, scope])
            rows = list(self._webhooks.find(named).sort("namespace_id", ASCENDING).limit(2))
            if not rows:
                raise _gone(identifier)
            found = rows[0]
            if len(rows) > 1 and found["namespace_id"] is not None:
                raise BadRequestError(
                    "Webhooks of several namespaces have this name: send X-Namespace, or the id"
                )
        return Webhook.from_document(found)

    def require_known(self, identifier: str, *, namespace_ids: NamespaceIds) -> str:
        """The id of a webhook whose log may be read: it is there, or was; else `NotFoundError`."""
        scope: Document = {} if namespace_ids is None else _within(namespace_ids)
        if self._webhooks.find_one(joined([{"_id": identifier}, scope]), {"_id": 1}):
            return identifier
        return self.get(identifier, namespace_ids=namespace_ids).webhook_id

    def list(self, query: ListQuery, *, namespace_ids: NamespaceIds) -> Page[Webhook]:
        """A page of the webhooks that the caller may see."""
        page = list_page(self._webhooks, _scope(namespace_ids), query, FIELDS)
        return page.map(Webhook.from_document)

    def change(self, webhook: Webhook, said: Registration, *, opens: bool) -> Webhook:
        """Sets all that its owner says of it, and with `opens` ends its being disabled.

        `AlreadyExistsError` where the name is taken, `NotFoundError` where it is gone.
        """
        change = {**self._said(said), "updated_at": this_moment()}
        if opens:
            change["disabled"] = None
        try:
            return self._update(webhook, {}, change)
        except DuplicateKeyError as exc:
            raise _taken(said.webhook_name) from exc

    def rotate(
        self, webhook: Webhook, key: bytes, *, overlap: timedelta
    ) -> tuple[Webhook, Revealed]:
        """The webhook with a new key; those before it sign as well until the overlap ends.

        Of several at once one succeeds, the others raise `AlreadyExistsError`. A request that is
        repeated finds its own rotation.
        """
        rotation_id, ring = new_id("rot"), webhook.keyring
        if not ring.repeats(rotation_id):
            new = SealedKey(rotation_id, self._seal.seal(key), this_moment())
            seen = {"keyring.keys.0.rotation_id": ring.newest.rotation_id}
            change = {
                "keyring": ring.rotated(new, overlap).to_document(),
                "updated_at": new.made_at,
            }
            webhook = self._update(webhook, seen, change)
        return webhook, Revealed(self._secret(webhook), None)

    def remove(self, webhook: Webhook, *, expire_at: datetime) -> None:
        """Forgets the webhook; that there was one is known for as long as its log is kept."""
        self._webhooks.replace_one(
            {"_id": webhook.webhook_id},
            {
                "namespace_id": webhook.namespace_id,
                "removed_at": this_moment(),
                "expire_at": expire_at,
            },
        )

    def disable(self, webhook_id: str, reason: str, *, url: str | None = None) -> bool:
        """Sends it nothing more until its owner makes it active again; tells it, once.

        In one transaction with its event; False where it was disabled before, is gone, or has
        another URL than `url` by now.
        """
        at, like = this_moment(), new_id("evt")
        guard = THERE if url is None else {**THERE, "url": url}

        def write(session: ClientSession) -> Webhook | None:
            stored = self._webhooks.find_one_and_update(
                {"_id": webhook_id, "disabled": None, **guard},
                {"$set": {"disabled": {"at": at, "reason": reason}, "updated_at": at}},
                return_document=ReturnDocument.AFTER,
                session=session,
            )
            return None if stored is None else Webhook.from_document(stored)

        def events(changed: Webhook | None) -> list[Event]:
            return [] if changed is None else [self._disabled(changed, reason, at, like)]

        return self._outbox.telling(write, events) is not None

    def subscriptions(self) -> Sequence[Subscription]:
        """What every webhook asks for."""
        found = self._webhooks.find(THERE)
        return [Webhook.from_document(each).subscription for each in found]

    def destination(self, webhook_id: str) -> Destination | None:
        """Where its deliveries go; None where it was deleted or is not open.

        `SealedElsewhereError` where its secret was sealed with another key.
        """
        stored = self._webhooks.find_one({"_id": webhook_id, **THERE})
        webhook = None if stored is None else Webhook.from_document(stored)
        if webhook is None or not webhook.is_open:
            return None
        return Destination(
            webhook.url,
            self.headers(webhook),
            webhook.timeout_s,
            webhook.keyring.signing(datetime.now(UTC), self._seal),
        )

    def headers(self, webhook: Webhook) -> Mapping[str, str]:
        """The headers that its owner adds, with their values; no key is needed for none."""
        if not webhook.header_names:
            return {}
        headers: dict[str, str] = json.loads(self._seal.unseal(webhook.sealed_headers))
        return headers

    def home(self, webhook: Webhook) -> str:
        """The namespace of events about it: its own, or of the organization's the default one."""
        return webhook.namespace_id or self._default_namespace_id()

    def _secret(self, webhook: Webhook) -> str:
        return write_secret(self._seal.unseal(webhook.keyring.newest.sealed))

    def _said(self, said: Registration) -> Document:
        return {
            "webhook_name": said.webhook_name,
            "event_types": list(said.event_types),
            "url": said.url,
            "header_names": list(said.headers),
            "headers": self._seal.seal(json.dumps(dict(said.headers)).encode()),
            "timeout_s": said.timeout_s,
            "is_active": said.is_active,
        }

    def _update(self, webhook: Webhook, guard: Document, change: Document) -> Webhook:
        stored = self._webhooks.find_one_and_update(
            {"_id": webhook.webhook_id, **THERE, **guard},
            {"$set": change},
            return_document=ReturnDocument.AFTER,
        )
        if stored is not None:
            return Webhook.from_document(stored)
        if guard and self._webhooks.find_one({"_id": webhook.webhook_id, **THERE}):
            raise AlreadyExistsError(
                "It was rotated by another request at this moment: rotate it again if you need to"
            )
        raise _gone(webhook.webhook_id)

    def _disabled(self, webhook: Webhook, reason: str, at: datetime, like: str) -> Event:
        kind = EventType.ENDPOINT_DISABLED
        return Event(
            event_id=event_id(kind, cause=f"{webhook.webhook_id}:{at.isoformat()}", like=like),
            event_type=kind,
            occurred_at=at,
            namespace_id=self.home(webhook),
            subject=Subject("webhook", webhook.webhook_id),
            metadata={
                "webhook_id": webhook.webhook_id,
                "webhook_name": webhook.webhook_name,
                "url": webhook.url,
                "reason": reason,
            },
            cache_scope=CacheScope(Scope.KEY, webhook.webhook_id),
            of_organization=webhook.namespace_id is None,
        )

    def _default_namespace_id(self) -> str:
        found = self._namespaces.find(DEFAULT_NAME)
        assert found is not None  # nobody deletes it
        return found.namespace_id


def _within(namespace_ids: Collection[str]) -> Document:
    return {"namespace_id": {"$in": sorted(namespace_ids)}}


def _scope(namespace_ids: NamespaceIds) -> Document:
    return THERE if namespace_ids is None else joined([THERE, _within(namespace_ids)])


def _taken(name: str) -> AlreadyExistsError:
    return AlreadyExistsError(f"There is already a webhook named '{name}'")


def _gone(identifier: str) -> NotFoundError:
    return NotFoundError(f"There is no webhook '{identifier[:128]}'")
