"""Redis: whether it answers, keeps what it is given, and has room."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from redis import AuthenticationError, Redis, RedisError

from app.doctor.finding import Finding, fail, ok, warn
from app.doctor.mongodb import clock
from app.doctor.subject import Subject

WITHIN_S: Final = 3.0
OLDEST: Final = (6, 2)
KEEPS: Final = "noeviction"
FULL: Final = 0.8


def look_at_redis(subject: Subject) -> list[Finding]:
    """Nothing where no URL is set: then `waybill up` brings its own."""
    url = subject.settings.redis_url
    if url is None:
        return []
    try:
        with Redis.from_url(url, socket_timeout=WITHIN_S, socket_connect_timeout=WITHIN_S) as redis:
            return list(_examined(redis))
    except AuthenticationError:
        return [fail("redis", "refuses our password", "put it into WAYBILL_REDIS_URL")]
    except RedisError as exc:
        problem = f"does not answer ({type(exc).__name__})"
        return [fail("redis", problem, "start it, and see that WAYBILL_REDIS_URL names it")]
    except ValueError:  # what redis-py says of a URL that is none
        return [fail("redis", "WAYBILL_REDIS_URL is no URL of Redis", "write redis://host:port/0")]


def _examined(redis: Redis) -> Iterator[Finding]:
    before = datetime.now(UTC)
    seconds, microseconds = redis.time()
    after = datetime.now(UTC)
    theirs = datetime.fromtimestamp(seconds + microseconds / 1e6, UTC)
    told: dict[str, Any] = redis.info()
    yield _version(told)
    yield _policy(told)
    yield _persistence(told)
    yield _memory(told)
    yield clock("redis.clock", theirs, before=before, after=after)


def _version(told: dict[str, Any]) -> Finding:
    name = "Valkey" if told.get("server_name") == "valkey" else "Redis"
    found = str(told.get("valkey_version", told["redis_version"]))
    if tuple(int(part) for part in found.split(".")[:2]) < OLDEST:
        return fail("redis", f"{name} {found} is too old", "use Redis 6.2 or newer, or Valkey")
    return ok("redis", f"{name} {found} answers")


def _policy(told: dict[str, Any]) -> Finding:
    policy = told.get("maxmemory_policy")
    if policy != KEEPS:
        return fail(
            "redis.eviction",
            f"with the policy {policy} it throws messages away when its memory is full",
            "set maxmemory-policy noeviction",
        )
    return ok("redis.eviction", "it throws nothing away")


def _persistence(told: dict[str, Any]) -> Finding:
    if not told.get("aof_enabled"):
        return warn(
            "redis.persistence",
            "a crash loses the queues, which the republisher then fills again from the receipts",
            "set appendonly yes",
        )
    return ok("redis.persistence", "an append-only file keeps the queues over a crash")


def _memory(told: dict[str, Any]) -> Finding:
    used, most = int(told["used_memory"]), int(told.get("maxmemory", 0))
    if not most:
        return ok("redis.memory", f"{used / 1024**2:.0f} MiB used, no limit set")
    detail = f"{used / most:.0%} of {most / 1024**2:.0f} MiB used"
    if used > most * FULL:
        return warn("redis.memory", detail, "give it more, before it refuses messages")
    return ok("redis.memory", detail)
