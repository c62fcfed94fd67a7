"""RQ: its default worker, which forks for each job; two of them in a pool.

https://python-rq.org/docs/workers/#worker-pool
"""

import time
from collections.abc import Sequence

from redis import Redis
from rq import Queue
from rq.job import Job

from bench.noop.beside.script import redis_url

connection = Redis.from_url(redis_url())
queue = Queue(connection=connection)


def noop() -> float:
    """Ends at once."""
    return time.time()


def fill(count: int) -> list[str]:
    return [queue.enqueue(noop).id for _ in range(count)]


def ended(ids: Sequence[str]) -> list[float]:
    jobs = Job.fetch_many(ids, connection=connection)
    results = [job.return_value() for job in jobs if job is not None and job.is_finished]
    return [end for end in results if end is not None]
