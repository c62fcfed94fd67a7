"""API keys: made, listed, changed, rotated and revoked by admin keys, within their own scope."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime, Field

from app.access.key import ApiKey
from app.access.key_store import NewKey
from app.access.permission import Permission
from app.access.secret import make_secret
from app.api.shape import key as shape
from app.errors import AlreadyExistsError, ForbiddenError, InvalidError
from app.http.answer import answers
from app.http.body import CREATED, Body, Integer, JsonObject, Name
from app.http.caller import require_key, secret_of
from app.http.example import example
from app.http.idempotency import CREATES_SECRET, IdempotentRoute
from app.http.listing import ListBody, ListParams, counted, list_query, listed
from app.stores import Held, Stores

router = APIRouter(prefix="/v1/organizations/api-keys", tags=["keys"], route_class=IdempotentRoute)

AdminKey = Annotated[ApiKey, Depends(require_key(Permission.ADMIN))]

MAX_OVERLAP_S: Final = 7 * 24 * 3600
MAX_NAMESPACES: Final = 100
MAX_RATE: Final = 1_000_000  # requests a minute

RateLimit = Annotated[Integer, Field(ge=0, le=MAX_RATE, description="0 is no limit")]


class CreateKey(Body):
    """A key to be: without namespaces for all of them, without a limit with the setting's."""

    model_config = example({"name": "ci", "permission": "write", "namespaces": ["shop"]})

    name: Name
    permission: Permission
    namespaces: Annotated[list[Name], Field(min_length=1, max_length=MAX_NAMESPACES)] | None = None
    expires_at: AwareDatetime | None = None
    rate_limit_per_minute: RateLimit | None = None


class PatchKey(Body):
    """What changes; a key that is left out stays as it is."""

    model_config = example({"rate_limit_per_minute": 600})

    name: Name = Field(default_factory=str)  # an own default would stand in the document
    expires_at: AwareDatetime | None = None
    rate_limit_per_minute: RateLimit | None = None


class RotateKey(Body):
    """How long the secrets so far go on working."""

    model_config = example({"overlap_s": 3600})

    overlap_s: Integer = Field(0, ge=0, le=MAX_OVERLAP_S)


class ListKeys(ListBody):
    """What a list of keys takes."""

    model_config = example({"filters": {"permission": "admin"}})


@router.post(
    "",
    status_code=CREATED,
    openapi_extra=CREATES_SECRET,
    responses=answers(shape.NewKey, {409: "A key that shares a namespace has the name."}),
)
def create_key(body: CreateKey, key: AdminKey, stores: Held, request: Request) -> JsonObject:
    """A new key, with its secret in this answer only."""
    now = datetime.now(UTC)
    new = NewKey(
        name=body.name,
        permission=body.permission,
        namespace_ids=_namespace_ids(stores, key, body.namespaces),
        expires_at=_future(body.expires_at, now),
        rate_limit_per_minute=body.rate_limit_per_minute,
    )
    secret = make_secret("create", asked_with=secret_of(request))
    return _with_secret(stores.keys.create(new, secret, by=key.actor), secret)


@router.post("/list", responses=answers(shape.KeyPage))
def list_keys(
    request: Request,
    key: AdminKey,
    stores: Held,
    params: Annotated[ListParams, Query()],
    body: ListKeys | None = None,
) -> JsonObject:
    """A page of the keys that reach no further than this one, the newest first."""
    query, now = list_query(params, body), datetime.now(UTC)
    page = stores.keys.list(key.namespace_ids, counted(query))
    return listed(request, query, page.map(lambda each: each.to_json(now)))


@router.get("", responses=answers(shape.KeyPage))
def get_keys(
    request: Request, key: AdminKey, stores: Held, params: Annotated[ListParams, Query()]
) -> JsonObject:
    """The same list without filters."""
    return list_keys(request, key, stores, params)


@router.get("/{key_id}", responses=answers(shape.Key))
def get_key(key_id: str, key: AdminKey, stores: Held) -> JsonObject:
    """One key, without its secret."""
    return _json(stores.keys.get(key_id, scope=key.namespace_ids))


@router.patch(
    "/{key_id}",
    responses=answers(
        shape.Key,
        {409: "The name is taken, it was revoked, or no lasting admin key would be left."},
    ),
)
def patch_key(key_id: str, body: PatchKey, key: AdminKey, stores: Held) -> JsonObject:
    """Name, expiry and limit change; what a key may do and where never does."""
    found = stores.keys.get(key_id, scope=key.namespace_ids)
    changes = body.model_dump(exclude_unset=True)
    if "expires_at" in changes:
        changes["expires_at"] = _future(body.expires_at, datetime.now(UTC))
    changed = stores.keys.change(found, changes)
    stores.directory.forget()
    return _json(changed)


@router.post(
    "/{key_id}/rotate",
    openapi_extra=CREATES_SECRET,
    responses=answers(
        shape.NewKey, {409: "It was revoked, has expired, or is being rotated by another request."}
    ),
)
def rotate_key(
    key_id: str, key: AdminKey, stores: Held, request: Request, body: RotateKey | None = None
) -> JsonObject:
    """A new secret, in this answer only; earlier ones work until the overlap ends, at most."""
    found = stores.keys.get(key_id, scope=key.namespace_ids)
    if not found.is_open(datetime.now(UTC)):
        raise AlreadyExistsError(
            f"The key '{found.name}' was revoked or has expired: make a new one, or set "
            "expires_at of one that has expired"
        )
    secret = make_secret("rotate", asked_with=secret_of(request))
    overlap = timedelta(seconds=body.overlap_s if body else 0)
    rotated = stores.rotation.rotate(found, secret, overlap=overlap, by=key.actor)
    stores.directory.forget()
    return _with_secret(rotated, secret)


@router.delete(
    "/{key_id}",
    responses=answers(shape.RevokedKey, {409: "It is the last admin key to everything."}),
)
def revoke_key(key_id: str, key: AdminKey, stores: Held) -> JsonObject:
    """Closes the key for good, here at once and elsewhere within five seconds."""
    found = stores.keys.get(key_id, scope=key.namespace_ids)
    if found.revoked_at is not None:
        message = f"The key '{found.name}' had been revoked before"
        return {"success": True, "message": message, "key": _json(found)}
    revoked = stores.keys.revoke(found, by=key.actor)
    stores.directory.forget()
    message = f"The key '{found.name}' is revoked"
    return {"success": True, "message": message, "key": _json(revoked)}


def _namespace_ids(
    stores: Stores, key: ApiKey, identifiers: Sequence[str] | None
) -> Sequence[str] | None:
    """The ids of the namespaces, each of which the calling key opens."""
    if identifiers is None:
        if key.namespace_ids is not None:
            raise ForbiddenError(
                "This key is limited to some namespaces: name those of them that the new one opens"
            )
        return None
    found: dict[str, None] = {}
    for index, identifier in enumerate(identifiers):
        namespace = stores.namespaces.find(identifier)
        if namespace is None or not key.opens(namespace.namespace_id):
            message = f"There is no namespace '{identifier}'"
            raise InvalidError.at("body", "namespaces", index, message=message)
        found[namespace.namespace_id] = None
    return list(found)


def _future(expires_at: datetime | None, now: datetime) -> datetime | None:
    """The time in UTC; `InvalidError` for one that is over, or that no calendar has there."""
    if expires_at is None:
        return None
    try:
        in_utc = expires_at.astimezone(UTC)
    except OverflowError as exc:
        message = "expires_at lies beyond the year 9999: leave it out for a key without an end"
        raise InvalidError.at("body", "expires_at", message=message) from exc
    if in_utc <= now:
        message = "expires_at lies in the past: give a later time, or revoke the key"
        raise InvalidError.at("body", "expires_at", message=message)
    return in_utc


def _json(key: ApiKey) -> JsonObject:
    return key.to_json(datetime.now(UTC))


def _with_secret(key: ApiKey, secret: str) -> JsonObject:
    return {**_json(key), "secret": secret}
