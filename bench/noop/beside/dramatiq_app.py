"""dramatiq: Redis broker, the Results middleware.

https://dramatiq.io/cookbook.html#results
"""

import time
from collections.abc import Sequence

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import ResultMissing, Results
from dramatiq.results.backends import RedisBackend

from bench.noop.beside.script import redis_url

backend = RedisBackend(url=redis_url())
broker = RedisBroker(url=redis_url())  # type: ignore[no-untyped-call] # partly typed package
broker.add_middleware(Results(backend=backend))  # type: ignore[no-untyped-call] # the same
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def noop() -> float:
    """Ends at once."""
    return time.time()


def fill(count: int) -> list[str]:
    return [noop.send().message_id for _ in range(count)]


def ended(ids: Sequence[str]) -> list[float]:
    ends = []
    for message_id in ids:
        try:
            message = noop.message().copy(message_id=message_id)
            ends.append(message.get_result(backend=backend))
        except ResultMissing:
            continue
    return ends
