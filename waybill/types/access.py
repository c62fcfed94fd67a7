"""API keys, and the health that is open to everybody."""

from typing import Literal, TypeAlias, TypedDict

from waybill.types.json import Status

Permission: TypeAlias = Literal["read", "write", "delete", "admin"]


class Key(TypedDict):
    """An API key without its secret; `prefix` is its secret's beginning, for people."""

    key_id: str
    name: str
    permission: Permission
    namespaces: list[str] | None  # ids; null is all of them
    prefix: str
    created_at: str
    created_by: str | None
    expires_at: str | None
    revoked_at: str | None
    revoked_by: str | None
    rotated_at: str | None
    rotated_by: str | None
    overlap_ends_at: str | None  # until then the secret before this one works as well
    last_used_at: str | None
    rate_limit_per_minute: int | None
    status: Status


class NewKey(Key):
    """A key just made or rotated: the only answer that has its secret."""

    secret: str


class KeyAnswer(TypedDict):
    """What came of a revoke."""

    success: bool
    message: str
    key: Key


class Component(TypedDict):
    """One part of the server."""

    status: Literal["OK", "DEGRADED"]
    detail: str


class Health(TypedDict):
    """OK when every part answers."""

    status: Literal["OK", "DEGRADED"]
    components: dict[str, Component]
