"""The reference of `bench.reading`: a FastAPI route that returns one Redis value."""

import os

from fastapi import FastAPI, Response
from redis.asyncio import Redis

app = FastAPI()
redis: Redis = Redis.from_url(os.environ["BENCH_REDIS_URL"])


@app.get("/values/{key}")
async def get_value(key: str) -> Response:
    """The value as it is."""
    return Response(await redis.get(key), media_type="application/json")
