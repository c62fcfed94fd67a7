"""Answers about a collection's documents that may come from the cache."""

import json
from collections.abc import Callable
from typing import Final

from fastapi import Request, Response
from pydantic import BaseModel, TypeAdapter

from app.caching.answer import Question
from app.receipts.receipt import JsonObject
from app.resources.collection import Collection
from app.stores import Stores

HEADER: Final = "X-Cache"
HIT: Final = "hit"
MISS: Final = "miss"

_ANSWER: Final = TypeAdapter(JsonObject)


def cached(
    request: Request,
    stores: Stores,
    collection: Collection,
    body: BaseModel | None,
    make: Callable[[], JsonObject],
) -> Response:
    """What `make` returns, or what it returned to the same request a few seconds ago.

    The collection was read before, so an answer is as new as its index version at least.
    """
    question = Question(
        collection.namespace_id,
        collection.collection_id,
        collection.index_version,
        _text(request, body),
    )
    answer = stores.answers.answer(question, lambda: _ANSWER.dump_json(make()))
    headers = {HEADER: HIT if answer.is_hit else MISS}
    return Response(answer.body, media_type="application/json", headers=headers)


def _text(request: Request, body: BaseModel | None) -> str:
    asked = None if body is None else body.model_dump(mode="json", exclude_unset=True)
    return json.dumps([request.url.path, request.url.query, asked], sort_keys=True)
