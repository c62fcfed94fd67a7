"""A key's life through the stack, and what of it Redis keeps."""

import secrets

import httpx
import pytest
from redis import Redis

from tests.acceptance.test_jobs import ended, submit
from tests.stack import Stack
from waybill import Client

pytestmark = pytest.mark.timeout(120)

LIMIT = 3


def ask(stack: Stack, secret: str, path: str) -> httpx.Response:
    return httpx.get(stack.api_url + path, headers={"Authorization": f"Bearer {secret}"})


def test_a_key_is_made_limited_rotated_and_revoked(stack: Stack) -> None:
    with Client(stack.api_url, stack.api_key) as admin:
        name = f"acceptance-{secrets.token_hex(4)}"
        key = admin.keys.create(name, "read", rate_limit_per_minute=LIMIT)
        answers = [ask(stack, key["secret"], "/v1/namespaces") for _ in range(LIMIT + 1)]
        assert [answer.status_code for answer in answers] == [200] * LIMIT + [429]
        assert answers[0].headers["x-ratelimit-remaining"] == str(LIMIT - 1)
        assert int(answers[-1].headers["retry-after"]) > 0
        admin.keys.change(key["key_id"], rate_limit_per_minute=0)
        rotated = admin.keys.rotate(key["key_id"], overlap_s=600)
        for secret in (key["secret"], rotated["secret"]):
            assert ask(stack, secret, "/v1/namespaces").status_code == 200
        assert admin.keys.revoke(key["key_id"])["key"]["status"] == "ARCHIVED"
        for secret in (key["secret"], rotated["secret"]):
            assert ask(stack, secret, "/v1/namespaces").status_code == 401


def test_every_redis_key_of_ours_ends_by_itself(stack: Stack, client: Client) -> None:
    key = client.keys.create(f"ttl-{secrets.token_hex(4)}", "read", rate_limit_per_minute=LIMIT)
    assert ask(stack, key["secret"], "/v1/namespaces").status_code == 200
    ended(client, submit(client, "test_stepping", 1))
    with Redis.from_url(stack.redis_url) as redis:
        names = list(redis.scan_iter("waybill:*", count=1_000))
        assert {name.split(b":")[1] for name in names} >= {b"task", b"rate"}
        # -1 is a key for ever; one that ended since the scan says -2.
        assert [name for name in names if redis.ttl(name) == -1] == []
