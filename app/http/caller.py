"""Who calls, what the key may do, and in which namespace."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import ceil
from typing import Annotated, Final

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.access.key import ApiKey
from app.access.permission import Permission
from app.errors import ForbiddenError, NotFoundError, TooManyRequestsError, UnauthorizedError
from app.resources.namespace import DEFAULT_NAME, Namespace
from app.stores import stores_of

# Only so that the OpenAPI document says it; the checks are below.
BEARER: Final = HTTPBearer(auto_error=False, scheme_name="ApiKey", description="sk_…")
Documented = Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]
NamespaceHeader = Annotated[
    str | None, Header(alias="X-Namespace", description="id or name; `default` without it")
]


@dataclass(frozen=True, slots=True)
class Caller:
    """The key that calls and the namespace it works in."""

    key_id: str
    key_name: str
    permission: Permission
    namespace_id: str

    @property
    def actor(self) -> str:
        """Who did it, for receipts and histories."""
        return f"key:{self.key_name}"

    @property
    def is_admin(self) -> bool:
        """Whether the key may do everything."""
        return self.permission is Permission.ADMIN


async def key_of(request: Request) -> ApiKey:
    """The key of the request, looked up and counted once for it.

    `UnauthorizedError` without one or with one that opens nothing, `TooManyRequestsError` where
    its limit is reached.
    """
    known = getattr(request.state, "key", None)
    if isinstance(known, ApiKey):
        return known
    stores = stores_of(request)
    key = await stores.directory.key(secret_of(request))
    if key is None:
        raise UnauthorizedError("This API key is not known, was revoked or has expired")
    stores.last_use.note(key.key_id)
    allowance = await stores.rate_limiter.hit(key.key_id, key.rate_limit_per_minute)
    request.state.allowance = allowance
    if allowance is not None and not allowance.is_allowed:
        raise TooManyRequestsError(
            f"This key may make {allowance.limit} requests a minute: slow down",
            retry_after_s=ceil(allowance.next_after_s),
        )
    request.state.key = key
    return key


def secret_of(request: Request) -> str:
    """The secret that the request came with; `UnauthorizedError` without one."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret:
        raise UnauthorizedError("Send an API key with the header Authorization: Bearer sk_…")
    return secret


async def namespace_of(request: Request, key: ApiKey) -> Namespace:
    """The namespace of `X-Namespace`; `NotFoundError` when the key cannot see one like that."""
    identifier = _text(request.headers.get("x-namespace", "").strip()) or DEFAULT_NAME
    namespace = await stores_of(request).directory.namespace(identifier)
    if namespace is None or not key.opens(namespace.namespace_id):
        raise NotFoundError(f"There is no namespace '{identifier[:128]}'")
    return namespace


async def caller_of(request: Request, permission: Permission = Permission.READ) -> Caller:
    """Key and namespace of the request together; `ForbiddenError` below the permission."""
    key = check(await key_of(request), permission)
    namespace = await namespace_of(request, key)
    return Caller(key.key_id, key.name, key.permission, namespace.namespace_id)


def require(permission: Permission) -> Callable[..., Awaitable[Caller]]:
    """The dependency of a route that works in a namespace and needs this permission."""

    async def allowed(request: Request, _: Documented, __: NamespaceHeader = None) -> Caller:
        return await caller_of(request, permission)

    return allowed


def require_key(permission: Permission) -> Callable[..., Awaitable[ApiKey]]:
    """The dependency of a route that belongs to no namespace."""

    async def allowed(request: Request, _: Documented) -> ApiKey:
        return check(await key_of(request), permission)

    return allowed


def check(key: ApiKey, permission: Permission) -> ApiKey:
    """The key, or `ForbiddenError` when it lacks the permission."""
    if not key.permission.includes(permission):
        raise ForbiddenError(
            f"This needs a key with the permission '{permission}', this one has '{key.permission}'"
        )
    return key


def _text(header: str) -> str:
    """The header's UTF-8 text, which the server hands over as Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


Reader = Annotated[Caller, Depends(require(Permission.READ))]
Writer = Annotated[Caller, Depends(require(Permission.WRITE))]
Deleter = Annotated[Caller, Depends(require(Permission.DELETE))]
