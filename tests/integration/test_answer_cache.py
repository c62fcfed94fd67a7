"""Cached answers about documents: the same ones, for some seconds, until something changes."""

from contextlib import closing
from datetime import timedelta
from typing import Final
from uuid import uuid4

import httpx
import pytest
from pymongo.database import Database
from redis import Redis, RedisError

from app.caching.answer import (
    ANSWER_PREFIX,
    MARK_PREFIX,
    MAX_ANSWER_BYTES,
    Answer,
    AnswerCache,
    Question,
)
from app.database import Document, transact
from app.embedded.port import LOOPBACK, free_ports
from app.resources.extraction import ExtractionStore
from app.settings import Settings
from app.stores import Stores
from tests.integration.resources import ClientMaker, Json, made, make_bucket, make_collection
from tests.integration.test_document import documents_of

NEVER: Final = 60.0  # longer than any test


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Those of the API, whose answers outlast the test."""
    return settings.model_copy(update={"answer_cache_ttl_s": NEVER})


@pytest.fixture
def cache(broker: Redis) -> AnswerCache:
    return AnswerCache(broker, ttl_s=NEVER)


@pytest.fixture
def question() -> Question:
    """Of a collection that no other test asks about."""
    return Question(f"ns_{uuid4().hex}", f"col_{uuid4().hex}", 0, "how many?")


def ask(cache: AnswerCache, question: Question, body: bytes) -> Answer:
    return cache.answer(question, lambda: body)


def test_an_answer_holds_until_it_is_dropped(
    cache: AnswerCache, question: Question, broker: Redis
) -> None:
    other = Question(question.namespace_id, f"col_{uuid4().hex}", 0, question.text)
    assert ask(cache, question, b"1\n2") == Answer(b"1\n2", is_hit=False)
    ask(cache, other, b"other")
    for dropped, other_is_hit in ((question.collection_id, True), (question.namespace_id, False)):
        assert ask(cache, question, b"new") == Answer(b"1\n2", is_hit=True)
        cache.drop({dropped})
        assert ask(cache, question, b"1\n2") == Answer(b"1\n2", is_hit=False)
        assert ask(cache, other, b"other").is_hit is other_is_hit
    keys = list(broker.scan_iter(f"{ANSWER_PREFIX}*", 1_000))
    keys += broker.scan_iter(f"{MARK_PREFIX}*", 1_000)
    assert len(keys) >= 4
    assert all(broker.ttl(key) > 0 for key in keys)


def test_an_answer_in_the_making_is_dropped_too(cache: AnswerCache, question: Question) -> None:
    def make() -> bytes:
        cache.drop({question.collection_id})
        return b"old"

    assert cache.answer(question, make) == Answer(b"old", is_hit=False)
    assert ask(cache, question, b"new") == Answer(b"new", is_hit=False)
    # One that began before its collection moved on stays with the version that it began with.
    next_one = Question(question.namespace_id, question.collection_id, 1, question.text)
    assert ask(cache, next_one, b"newer") == Answer(b"newer", is_hit=False)


def test_large_answers_are_not_kept(cache: AnswerCache, question: Question) -> None:
    for _ in range(2):
        assert not ask(cache, question, b"x" * (MAX_ANSWER_BYTES + 1)).is_hit
    assert not ask(cache, question, b"x" * MAX_ANSWER_BYTES).is_hit
    assert ask(cache, question, b"").is_hit


def test_without_redis_answers_are_made(
    question: Question, broker: Redis, settings: Settings
) -> None:
    (port,) = free_ports(1)
    away = settings.model_copy(update={"redis_url": f"redis://{LOOPBACK}:{port}"})
    with closing(AnswerCache.open(away)) as nobody:
        for cache in (nobody, AnswerCache(broker, ttl_s=0)):
            for body in (b"1", b"2"):
                assert ask(cache, question, body) == Answer(body, is_hit=False)
        with pytest.raises(RedisError):
            nobody.drop({question.collection_id})


@pytest.fixture
def collection(client: httpx.Client, database: Database[Document]) -> Json:
    made_ = make_collection(client, make_bucket(client))
    origin, documents = documents_of(made_)
    ids = [document.object_id for document in documents]
    ExtractionStore(database).write(origin, ids, documents, [])
    return made_


def test_requests_are_answered_alike(
    client: httpx.Client,
    client_for: ClientMaker,
    collection: Json,
    stores: Stores,
    database: Database[Document],
) -> None:
    url = f"/v1/collections/{collection['collection_id']}/documents"
    aggregate = {
        "group_by": ["fields.shop"],
        "aggregations": [{"function": "sum", "field": "fields.price"}],
    }
    requests: tuple[tuple[str, Json, Json], ...] = (
        ("/list", {}, {"limit": 9}),
        ("/list", {"return_vectors": True}, {"limit": 9}),
        ("/list", {}, {"limit": 9, "include_total": True}),
        ("/list", {"filters": {"fields.price": 1}}, {"limit": 9}),
        ("/count", {}, {}),
        ("/count", {"filters": {"fields.price": 1}}, {}),
        ("/aggregate", aggregate, {}),
        ("/aggregate", {**aggregate, "filters": {"fields.price": 1}}, {}),
    )

    def answers(expected: str, by: httpx.Client = client) -> list[bytes]:
        found = [by.post(url + path, json=body, params=params) for path, body, params in requests]
        for each in found:
            assert (each.status_code, each.headers["x-cache"]) == (200, expected)
        return [each.content for each in found]

    first = answers("miss")
    assert len(set(first)) == len(requests)
    database["documents"].delete_many({"fields.price": 1})
    assert answers("hit") == first
    # By its name it is another request, whose links say so.
    assert client.post("/v1/collections/texts/documents/count").headers["x-cache"] == "miss"
    # Somebody else finds nothing under that id, cached or not.
    stranger = made(client.post("/v1/namespaces", json={"namespace_name": "elsewhere"}))
    other = client_for(namespace=stranger["namespace_id"])
    assert other.post(f"{url}/count").status_code == 404

    transact(
        stores.ledger.receipts.tasks.database,
        lambda session: stores.collections.move_on([collection["collection_id"]], session),
        within=timedelta(seconds=10),
    )
    second = answers("miss")
    assert all(new != old for new, old in zip(second, first, strict=True))
    assert answers("hit") == second
