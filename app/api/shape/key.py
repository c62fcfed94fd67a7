"""API keys as answers have them."""

from typing import Annotated, Literal

from pydantic import Field

from app.access.permission import Permission
from app.api.shape.page import CountedPage, page_example
from app.http.answer import Answer, Json, Time
from app.http.example import example

EXAMPLE: Json = {
    "key_id": "key_0196b1c0a4e87d11b8a40c3f5e2d9a77",
    "name": "ci",
    "permission": "write",
    "namespaces": ["ns_0196b1c0a4e87d11b8a40c3f5e2d9a77"],
    "rate_limit_per_minute": 600,
    "prefix": "sk_vT3xq",
    "status": "ACTIVE",
    "created_at": "2026-01-31T12:00:00.000Z",
    "created_by": "key:admin",
    "expires_at": "2026-12-31T00:00:00.000Z",
    "revoked_at": None,
    "revoked_by": None,
    "rotated_at": None,
    "rotated_by": None,
    "overlap_ends_at": None,
    "last_used_at": "2026-02-01T08:30:00.000Z",
}
REVOKED_EXAMPLE: Json = {
    **EXAMPLE,
    "status": "ARCHIVED",
    "revoked_at": "2026-02-01T09:00:00.000Z",
    "revoked_by": "key:admin",
}
SECRET: Json = {"secret": "sk_vT3xqM0n4y0cGx7Qd9bq2l1w8R5uJ6k3ZtYhPsVfEaC"}


class Key(Answer):
    """One key, without its secret; ARCHIVED once it was revoked or has expired."""

    model_config = example(EXAMPLE)

    key_id: str
    name: str
    permission: Permission
    namespaces: list[str] | None
    rate_limit_per_minute: Annotated[int, Field(ge=0)] | None
    prefix: str
    status: Literal["ACTIVE", "ARCHIVED"]
    created_at: Time
    created_by: str | None
    expires_at: Time | None
    revoked_at: Time | None
    revoked_by: str | None
    rotated_at: Time | None
    rotated_by: str | None
    overlap_ends_at: Time | None
    last_used_at: Time | None


class NewKey(Key):
    """One key with its secret, which no other answer has."""

    model_config = example({**EXAMPLE, **SECRET})

    secret: str


class RevokedKey(Answer):
    """That the key opens nothing any more."""

    model_config = example(
        {"success": True, "message": "The key 'ci' is revoked", "key": REVOKED_EXAMPLE}
    )

    success: Literal[True]
    message: str
    key: Key


class KeyPage(CountedPage[Key]):
    """A page of keys."""

    model_config = example(page_example(EXAMPLE, total_count=1))
