"""The messages on the broker's queues, as tests look at them and take them away."""

import ast
import base64
import json

from redis import Redis


def sent(broker: Redis, queue: str) -> list[str]:
    """The task ids of the messages on a queue, oldest first."""
    messages = [json.loads(raw) for raw in broker.lrange(queue, 0, -1)][::-1]
    return [json.loads(base64.b64decode(each["body"]))[0][0] for each in messages]


def sent_task(raw: bytes, queue: str) -> str | None:
    """The task id in a `task-sent` event of that queue; None of another event or queue."""
    event = json.loads(base64.b64decode(json.loads(raw)["body"]))
    if (event["type"], event.get("queue")) != ("task-sent", queue):
        return None
    return str(ast.literal_eval(event["args"])[0])


def lose(broker: Redis, queue: str, count: int) -> list[str]:
    """Takes the oldest messages away, as a worker does that dies with them."""
    lost = sent(broker, queue)[:count]
    broker.rpop(queue, count)
    return lost
