"""huey: RedisHuey, two worker processes.

https://huey.readthedocs.io/en/latest/consumer.html
"""

import time
from collections.abc import Sequence

from huey import RedisHuey

from bench.noop.beside.script import redis_url

huey = RedisHuey("bench", url=redis_url())


@huey.task()  # type: ignore[untyped-decorator] # untyped package
def noop() -> float:
    """Ends at once."""
    return time.time()


def fill(count: int) -> list[str]:
    return [noop().id for _ in range(count)]


def ended(ids: Sequence[str]) -> list[float]:
    found = [huey.result(task_id, preserve=True) for task_id in ids]
    return [end for end in found if end is not None]
