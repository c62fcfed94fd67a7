"""The secret that signs callbacks, which a submit asks for by `webhook_url`: one a namespace."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends

from app.access.permission import Permission
from app.api.shape import webhook as shape
from app.api.webhook import PREFIX
from app.api.webhook_access import WithSeal
from app.api.webhook_body import RotateSecret, read_key
from app.http.answer import answers
from app.http.body import JsonObject
from app.http.caller import Caller, require
from app.http.idempotency import CREATES_SECRET, IdempotentRoute
from app.receipts.receipt import rfc3339
from app.stores import Held, Stores
from app.webhooks.keyring import Keyring

router = APIRouter(
    prefix=f"{PREFIX}/callback-secret",
    tags=["webhooks"],
    route_class=IdempotentRoute,
    dependencies=[WithSeal],
)

Admin = Annotated[Caller, Depends(require(Permission.ADMIN))]


@router.get("", responses=answers(shape.CallbackSecret))
def get_callback_secret(caller: Admin, stores: Held) -> JsonObject:
    """The namespace's secret; nobody makes it, so this is where it is read."""
    ring = stores.post.callback_secrets.ring(caller.namespace_id)
    return _json(stores, caller, ring)


@router.post(
    "/rotate",
    openapi_extra=CREATES_SECRET,
    responses=answers(
        shape.CallbackSecret, {409: "Another request rotated it, or too many secrets still sign."}
    ),
)
def rotate_callback_secret(
    caller: Admin, stores: Held, body: RotateSecret | None = None
) -> JsonObject:
    """A new secret; those before it sign as well for a while."""
    asked = body or RotateSecret()
    key, overlap = read_key(asked.signing_secret, "body"), timedelta(seconds=asked.overlap_s)
    ring = stores.post.callback_secrets.rotate(caller.namespace_id, key, overlap=overlap)
    return _json(stores, caller, ring)


def _json(stores: Stores, caller: Caller, ring: Keyring) -> JsonObject:
    return {
        "namespace_id": caller.namespace_id,
        "signing_secret": stores.post.callback_secrets.reveal(ring),
        "secret_made_at": rfc3339(ring.newest.made_at),
        "overlap_ends_at": rfc3339(ring.overlap_ends_at),
    }
