"""`Idempotency-Key`: a request sent twice has one effect, and the same answer both times."""

import hashlib
import json
import re
import zlib
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute

from app.access.idempotency import Claimed, IdempotencyStore, Kept, Refused
from app.errors import AlreadyExistsError, InvalidError
from app.http.caller import caller_of
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

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class IdempotentRoute(APIRoute):
    """A route that honours `Idempotency-Key` when it is marked with `CREATES`."""

    def get_route_handler(self) -> Handler:
        handler = super().get_route_handler()
        if not (self.openapi_extra or {}).get(MARK):
            return handler

        async def once(request: Request) -> Response:
            key = request.headers.get(HEADER)
            return await handler(request) if key is None else await _once(request, key, handler)

        return once


async def _once(request: Request, key: str, handler: Handler) -> Response:
    if not USABLE.fullmatch(key):
        message = f"{HEADER} has 1 to 255 printable ASCII characters without spaces"
        raise InvalidError.at("header", HEADER, message=message)
    store = stores_of(request).idempotency
    caller = await caller_of(request)
    entry_id = _digest(caller.key_id, caller.namespace_id, request.method, request.url.path, key)
    content = _digest(request.url.query, _canonical(await request.body()))
    match await run_in_threadpool(store.claim, entry_id, content):
        case Claimed(token, seed):
            with repeatable_ids(seed):
                return await _run(request, handler, store, entry_id, token)
        case Kept(status, body):
            return _replay(status, body)
        case Refused.OTHER_CONTENT:
            raise AlreadyExistsError(f"This {HEADER} was used with another body: take a new one")
        case _:
            raise AlreadyExistsError(
                f"The first request with this {HEADER} is still in progress: try again later"
            )


async def _run(
    request: Request, handler: Handler, store: IdempotencyStore, entry_id: str, token: str
) -> Response:
    """Runs the first request; its answer is kept if it succeeded, else the key is free again."""
    try:
        response = await handler(request)
    except Exception:
        await run_in_threadpool(store.release, entry_id, token)
        raise
    if 200 <= response.status_code < 300:
        await run_in_threadpool(store.keep, entry_id, token, _kept(response))
    else:
        await run_in_threadpool(store.release, entry_id, token)
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
