"""`Idempotency-Key`: a request sent twice has one effect, and the same answer both times."""

import hashlib
import json
import re
import zlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute

from app.access.idempotency import Claimed, IdempotencyStore, Kept, KeptSeed, Refused
from app.errors import AlreadyExistsError, InvalidError, StillInProgressError
from app.http.caller import caller_of, key_of
from app.identity import repeatable_ids
from app.stores import stores_of

HEADER: Final = "Idempotency-Key"
USABLE: Final = re.compile(r"[\x21-\x7e]{1,255}")
REPLAYED: Final = "Idempotent-Replayed"
MAX_KEPT_BYTES: Final = 15 * 1024 * 1024  # compressed; MongoDB holds documents of 16 MB

# Marks a route: `@router.post(..., openapi_extra=CREATES)` on a router of `IdempotentRoute`s.
MARK: Final = "x-waybill-creates"
CREATES: Final[dict[str, Any]] = {
    MARK: True,
    "parameters": [
        {
            "name": HEADER,
            "in": "header",
            "required": False,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            "description": "The same key and body within 24 h give the first answer again.",
        }
    ],
}

# The same for a route of the whole organization whose answer holds a secret. The answer is made
# again for a repeated request, from what is stored and from what the caller sent, never kept.
SECRET: Final = "secret"
CREATES_SECRET: Final[dict[str, Any]] = {**CREATES, MARK: SECRET}

# The same as `CREATES` for a route of the whole organization.
ORGANIZATION: Final = "organization"
CREATES_IN_ORGANIZATION: Final[dict[str, Any]] = {**CREATES, MARK: ORGANIZATION}

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class IdempotentRoute(APIRoute):
    """A route for callers with a key, looked up before the body is read.

    It honours `Idempotency-Key` when it is marked with `CREATES` or one of its kin.
    """

    def get_route_handler(self) -> Handler:
        handler = super().get_route_handler()
        mark = (self.openapi_extra or {}).get(MARK)

        async def once(request: Request) -> Response:
            await key_of(request)
            key = request.headers.get(HEADER)
            if not mark or key is None:
                return await handler(request)
            return await _once(request, key, handler, str(mark))

        return once


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is remembered of a request: with its answer, or only that it succeeded."""

    store: IdempotencyStore
    entry_id: str
    keeps_answer: bool

    async def settle(self, token: str, response: Response) -> None:
        """Remembers a success; a failure frees the key."""
        if not 200 <= response.status_code < 300:
            await self.release(token)
        elif self.keeps_answer:
            await run_in_threadpool(self.store.keep, self.entry_id, token, _kept(response))
        else:
            await run_in_threadpool(self.store.keep_seed, self.entry_id, token)

    async def release(self, token: str) -> None:
        await run_in_threadpool(self.store.release, self.entry_id, token)


async def _once(request: Request, key: str, handler: Handler, mark: str) -> Response:
    if not USABLE.fullmatch(key):
        message = f"{HEADER} has 1 to 255 printable ASCII characters without spaces"
        raise InvalidError.at("header", HEADER, message=message)
    store = stores_of(request).idempotency
    place = await _place(request, whole_organization=mark in (SECRET, ORGANIZATION))
    entry_id = _digest(*place, request.method, request.url.path, key)
    entry = _Entry(store, entry_id, keeps_answer=mark != SECRET)
    content = _digest(request.url.query, _canonical(await request.body()))
    match await run_in_threadpool(store.claim, entry.entry_id, content):
        case Claimed(token, seed):
            with repeatable_ids(seed):
                return await _run(request, handler, entry, token)
        case Kept(status, body):
            return _replay(status, body)
        case KeptSeed(seed):
            with repeatable_ids(seed):
                response = await handler(request)
            response.headers[REPLAYED] = "true"
            return response
        case Refused.OTHER_CONTENT:
            raise AlreadyExistsError(f"This {HEADER} was used with another body: take a new one")
        case _:
            raise StillInProgressError(
                f"The first request with this {HEADER} is still in progress: try again later"
            )


async def _place(request: Request, *, whole_organization: bool) -> tuple[str, str]:
    """The key that calls, and the namespace where the request has one, or names one."""
    if whole_organization:
        return (await key_of(request)).key_id, request.headers.get("x-namespace", "")
    caller = await caller_of(request)
    return caller.key_id, caller.namespace_id


async def _run(request: Request, handler: Handler, entry: _Entry, token: str) -> Response:
    """Runs the first request; what came of it is remembered if it succeeded, else it may rerun."""
    try:
        response = await handler(request)
    except Exception:
        await entry.release(token)
        raise
    await entry.settle(token, response)
    return response


def _kept(response: Response) -> Kept:
    body = zlib.compress(bytes(response.body), level=1)
    return Kept(response.status_code, body if len(body) <= MAX_KEPT_BYTES else None)


def _replay(status: int, body: bytes | None) -> Response:
    if body is None:
        raise AlreadyExistsError(
            f"The first request with this {HEADER} succeeded; its answer was too large to keep"
        )
    headers = {REPLAYED: "true"}
    return Response(zlib.decompress(body), status, headers, media_type="application/json")


def _canonical(body: bytes) -> str:
    """The same text for bodies that differ in spaces and the order of keys only."""
    try:
        return json.dumps(json.loads(body), sort_keys=True)
    except (ValueError, RecursionError):
        return hashlib.sha256(body).hexdigest()  # no JSON: the route refuses it


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
