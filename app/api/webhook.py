"""Webhooks: made, listed, changed, tested, rotated and deleted.

With `X-Namespace` these routes work in that namespace, without it in all that the key may see.
"""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request

from app.api.shape import webhook as shape
from app.api.webhook_access import WithSeal, find_webhook, require_home
from app.api.webhook_answer import webhook_json, webhook_page
from app.api.webhook_body import (
    CreateWebhook,
    ListWebhooks,
    PutWebhook,
    RotateSecret,
    as_shown,
    check_kept,
    read_key,
    registration,
)
from app.api.webhook_word import Worded
from app.http.answer import Done, answers
from app.http.body import CREATED, JsonObject
from app.http.idempotency import CREATES_SECRET, IdempotentRoute
from app.http.listing import ListParams, counted, list_query, listed
from app.http.place import Deleting, Reading, Writing
from app.stores import Held

PREFIX: Final = "/v1/organizations/webhooks"
# That there was a webhook is known for longer than a request may be repeated.
KNOWN_FOR: Final = timedelta(days=2)

router = APIRouter(prefix=PREFIX, tags=["webhooks"], route_class=IdempotentRoute)


@router.post(
    "",
    status_code=CREATED,
    openapi_extra=CREATES_SECRET,
    dependencies=[WithSeal],
    responses=answers(shape.NewWebhook, {409: "The name is taken."}),
)
def create_webhook(body: CreateWebhook, place: Writing, stores: Held, words: Worded) -> JsonObject:
    """A new webhook; its signing secret is readable in this answer only."""
    home = require_home(place)
    said = registration(body, stores.post.guard, dict, is_active=body.is_active is not False)
    webhook, revealed = stores.post.webhooks.create(home, said, body.key(), by=place.key.actor)
    return webhook_json(stores, webhook, words, revealed)


@router.post("/list", responses=answers(shape.WebhookPage))
def list_webhooks(
    request: Request,
    place: Reading,
    stores: Held,
    words: Worded,
    params: Annotated[ListParams, Query()],
    body: ListWebhooks | None = None,
) -> JsonObject:
    """A page of the namespace's webhooks, or of all that the key may see, the newest first."""
    body = body or ListWebhooks()
    query = list_query(params, body, body.shorthand)
    page = stores.post.webhooks.list(counted(query), namespace_ids=place.namespace_ids)
    # The public client wants the last one at the top.
    return {**listed(request, query, webhook_page(stores, page, words)), "total": page.total}


@router.get("", responses=answers(shape.WebhookPage))
def get_webhooks(
    request: Request,
    place: Reading,
    stores: Held,
    words: Worded,
    params: Annotated[ListParams, Query()],
) -> JsonObject:
    """The same list without filters."""
    return list_webhooks(request, place, stores, words, params)


@router.get("/{webhook_identifier}", responses=answers(shape.Webhook))
def get_webhook(webhook_identifier: str, place: Reading, stores: Held, words: Worded) -> JsonObject:
    """The webhook with this id or name, and how its endpoint does."""
    return webhook_json(stores, find_webhook(stores, place, webhook_identifier), words)


@router.put(
    "/{webhook_identifier}",
    dependencies=[WithSeal],
    responses=answers(shape.Webhook, {409: "The name is taken."}),
)
def put_webhook(
    webhook_identifier: str, body: PutWebhook, place: Writing, stores: Held, words: Worded
) -> JsonObject:
    """Sets all of it but its secret. With `is_active` true, one that was disabled is open again."""
    post, webhook = stores.post, find_webhook(stores, place, webhook_identifier)
    body = as_shown(body, webhook, words)
    check_kept(body)
    is_active = webhook.is_active if body.is_active is None else body.is_active
    there = partial(post.webhooks.headers, webhook)
    said = registration(body, post.guard, there, is_active=is_active)
    if body.is_active and not webhook.is_open:
        post.mailboxes.reset(webhook.webhook_id)  # first: while it is closed nobody fails
    changed = post.webhooks.change(webhook, said, opens=body.is_active is True)
    return webhook_json(stores, changed, words)


@router.delete("/{webhook_identifier}", responses=answers(Done))
def delete_webhook(webhook_identifier: str, place: Deleting, stores: Held) -> JsonObject:
    """Deletes the webhook; what waits for it is skipped, and its log lives out its retention."""
    post, webhook = stores.post, find_webhook(stores, place, webhook_identifier)
    kept_for = max(post.retention, KNOWN_FOR)
    post.webhooks.remove(webhook, expire_at=datetime.now(UTC) + kept_for)
    post.log.close(webhook.webhook_id)
    return {"success": True, "message": f"The webhook '{webhook.webhook_name}' is deleted"}


@router.post(
    "/{webhook_identifier}/rotate-secret",
    openapi_extra=CREATES_SECRET,
    dependencies=[WithSeal],
    responses=answers(
        shape.NewWebhook, {409: "Another request rotated it, or too many secrets still sign."}
    ),
)
def rotate_webhook_secret(
    webhook_identifier: str,
    place: Writing,
    stores: Held,
    words: Worded,
    body: RotateSecret | None = None,
) -> JsonObject:
    """A new signing secret, in this answer only; those before it sign as well for a while."""
    asked = body or RotateSecret()
    webhook = find_webhook(stores, place, webhook_identifier)
    key, overlap = read_key(asked.signing_secret, "body"), timedelta(seconds=asked.overlap_s)
    rotated, revealed = stores.post.webhooks.rotate(webhook, key, overlap=overlap)
    return webhook_json(stores, rotated, words, revealed)
