"""Which webhooks a request reaches: those of the namespace that it names, or all that its key may
see. Those of the organization itself belong to no namespace.
"""

from fastapi import Depends

from app.errors import ForbiddenError, SettingsError, UnavailableError
from app.http.place import Place
from app.stores import Held, Stores
from app.webhooks.endpoint import Webhook


def require_home(place: Place) -> str | None:
    """The namespace of a new webhook; `ForbiddenError` where a limited key names none."""
    if place.namespace_id is None and place.key.namespace_ids is not None:
        raise ForbiddenError(
            "This key is limited to some namespaces: name the webhook's with X-Namespace, "
            "without which it would be one of all the organization"
        )
    return place.namespace_id


def find_webhook(stores: Stores, place: Place, identifier: str) -> Webhook:
    """The webhook with this id or name, or `NotFoundError`."""
    return stores.post.webhooks.get(identifier, namespace_ids=place.namespace_ids)


async def _with_seal(stores: Held) -> None:
    try:
        stores.post.seal.require_key()
    except SettingsError as exc:
        raise UnavailableError(
            "This server has no WAYBILL_SECRET_KEY, which seals the secrets of webhooks: set it "
            "and start the server again"
        ) from exc


WithSeal = Depends(_with_seal)
