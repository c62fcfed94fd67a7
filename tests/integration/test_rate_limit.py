"""Rate limits by key: counted together, told in every answer, never in the way of a Redis away."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from app.access.permission import Permission
from app.access.rate_limit import KEY_PREFIX, Allowance, RateLimiter
from app.embedded.port import free_ports
from app.identity import new_id
from app.main import create_app
from app.settings import Settings
from app.stores import Stores
from tests.integration.conftest import serving
from tests.integration.resources import error, made
from tests.integration.test_key import make_key
from tests.integration.test_receipt_cache import silent_server

LIMIT, REMAINING, RESET = "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"
SECOND_US = 1_000_000


@asynccontextmanager
async def limiter_at(url: str, *, default: int = 0) -> AsyncIterator[RateLimiter]:
    settings = Settings.model_validate({"redis_url": url, "rate_limit_per_minute": default})
    limiter = RateLimiter.open(settings)
    try:
        yield limiter
    finally:
        await limiter.close()


def hits(url: str, key_id: str, count: int, per_minute: int | None) -> list[Allowance | None]:
    """What so many requests of the key find, all sent at once."""

    async def run() -> list[Allowance | None]:
        async with limiter_at(url) as limiter:
            return await asyncio.gather(*(limiter.hit(key_id, per_minute) for _ in range(count)))

    return asyncio.run(run())


def hit(url: str, key_id: str, per_minute: int) -> Allowance:
    (found,) = hits(url, key_id, 1, per_minute)
    assert found is not None
    return found


@pytest.fixture
def key_id() -> str:
    return new_id("key")


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as redis:
        yield redis


def test_a_limit_is_a_burst_and_then_an_even_flow(
    redis: Redis, redis_url: str, key_id: str
) -> None:
    first = hit(redis_url, key_id, 3)
    assert (first.limit, first.remaining, first.is_allowed) == (3, 2, True)
    assert 0 < first.full_after_s <= 20
    assert (hit(redis_url, key_id, 3).remaining, hit(redis_url, key_id, 3).remaining) == (1, 0)
    refused = hit(redis_url, key_id, 3)
    assert not refused.is_allowed
    assert 0 < refused.next_after_s <= 20
    assert 40 < refused.full_after_s <= 60
    assert hit(redis_url, new_id("key"), 3).is_allowed
    key = KEY_PREFIX + key_id
    full_at = int(redis.get(key) or 0)
    redis.set(key, full_at - 20 * SECOND_US, px=60_000)  # twenty seconds later
    assert hit(redis_url, key_id, 3).is_allowed
    full_at = int(redis.get(key) or 0)
    redis.set(key, full_at - SECOND_US, px=60_000)  # one more second later
    assert not hit(redis_url, key_id, 3).is_allowed
    assert hit(redis_url, key_id, 600).is_allowed  # a higher limit counts from then on


def test_a_limiter_leaves_nothing_behind(redis: Redis, redis_url: str, key_id: str) -> None:
    hits(redis_url, key_id, 5, 3)
    assert 0 < redis.pttl(KEY_PREFIX + key_id) <= 60_000


def test_of_many_at_once_as_many_pass_as_may(redis: Redis, redis_url: str, key_id: str) -> None:
    redis.script_flush()  # as after a restart: the script is sent again
    found = hits(redis_url, key_id, 50, 5)
    assert sum(each is not None and each.is_allowed for each in found) == 5


def test_a_burst_larger_than_the_pool_does_not_lift_the_limit(redis_url: str, key_id: str) -> None:
    async def run() -> list[Allowance | None]:
        async with AsyncRedis.from_url(redis_url) as redis:  # which is waited for, however slow
            limiter = RateLimiter(redis, default_per_minute=0)
            return await asyncio.gather(*(limiter.hit(key_id, 5) for _ in range(300)))

    found = asyncio.run(run())
    assert None not in found
    assert sum(each is not None and each.is_allowed for each in found) == 5


def test_a_redis_that_hangs_holds_up_one_moment_only(key_id: str) -> None:
    async def run(url: str) -> list[Allowance | None]:
        async with limiter_at(url) as limiter:
            return [await limiter.hit(key_id, 5) for _ in range(100)]

    with silent_server() as (url, connected):
        assert asyncio.run(run(url)) == [None] * 100
        assert len(connected) <= 2


def test_a_key_without_a_limit_costs_no_round_trip(key_id: str) -> None:
    with silent_server() as (url, connected):
        assert hits(url, key_id, 3, None) == [None] * 3
        assert hits(url, key_id, 3, 0) == [None] * 3
        assert connected == []


def limited(client: httpx.Client, api_url: str, per_minute: int | None) -> httpx.Client:
    key = make_key(client, permission="write", rate_limit_per_minute=per_minute)
    headers = {"Authorization": f"Bearer {key['secret']}"}
    return httpx.Client(base_url=api_url, headers=headers, timeout=30)


def test_every_answer_to_a_limited_key_tells_its_limit(client: httpx.Client, api_url: str) -> None:
    assert LIMIT not in client.get("/v1/namespaces").headers
    with limited(client, api_url, 5) as caller:
        answers = [
            caller.get("/v1/namespaces"),
            caller.get("/v1/buckets/nope"),
            caller.post("/v1/buckets", content=b"{", headers={"Content-Type": "application/json"}),
            caller.delete("/v1/buckets/nope"),
            caller.post(
                "/v1/namespaces",
                json={"namespace_name": "n"},
                headers={"Idempotency-Key": "counts-once"},
            ),
            caller.get("/v1/namespaces"),
        ]
    assert [each.status_code for each in answers] == [200, 404, 400, 403, 200, 429]
    assert [each.headers[LIMIT] for each in answers] == ["5"] * 6
    assert [each.headers[REMAINING] for each in answers] == ["4", "3", "2", "1", "0", "0"]
    assert all(0 < int(each.headers[RESET]) <= 60 for each in answers)
    found = error(answers[-1], 429, "TooManyRequestsError")
    assert "5 requests a minute" in found["message"]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 12


def test_a_changed_limit_holds_at_once(client: httpx.Client, api_url: str) -> None:
    key = make_key(client, rate_limit_per_minute=1)
    with httpx.Client(headers={"Authorization": f"Bearer {key['secret']}"}) as caller:
        made(caller.get(f"{api_url}/v1/namespaces"))
        error(caller.get(f"{api_url}/v1/namespaces"), 429, "TooManyRequestsError")
        path = f"/v1/organizations/api-keys/{key['key_id']}"
        made(client.patch(path, json={"rate_limit_per_minute": 0}))
        assert LIMIT not in made_headers(caller.get(f"{api_url}/v1/namespaces"))


def test_the_setting_is_the_limit_of_keys_without_one(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"rate_limit_per_minute": 2}))
    with serving(app) as url:
        stores = app.state.stores
        assert isinstance(stores, Stores)
        stores.keys.register("sk_of_the_setting", "admin", Permission.ADMIN)
        headers = {"Authorization": "Bearer sk_of_the_setting"}
        with httpx.Client(base_url=url, headers=headers) as admin:
            with limited(admin, url, 0) as free, limited(admin, url, 9) as own:
                assert LIMIT not in made_headers(free.get("/v1/namespaces"))
                assert made_headers(own.get("/v1/namespaces"))[LIMIT] == "9"
            answer = admin.get("/v1/namespaces")
            error(answer, 429, "TooManyRequestsError")
            assert answer.headers[LIMIT] == "2"


def test_without_redis_every_request_is_let_in(settings: Settings) -> None:
    (port,) = free_ports(1)
    away = {"redis_url": f"redis://127.0.0.1:{port}/0", "rate_limit_per_minute": 1}
    app = create_app(settings.model_copy(update=away))
    with serving(app) as url:
        app.state.stores.keys.register("sk_without_redis", "admin", Permission.ADMIN)
        headers = {"Authorization": "Bearer sk_without_redis"}
        for _ in range(5):
            answer = httpx.get(f"{url}/v1/namespaces", headers=headers)
            assert LIMIT not in made_headers(answer)


def made_headers(answer: httpx.Response) -> httpx.Headers:
    """The headers of an answer that must be a success."""
    made(answer)
    return answer.headers
