"""Tasks are watched by many, through an API that is killed, stopped, and comes back."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from httpx_sse import ServerSentEvent, connect_sse

from tests.acceptance.test_jobs import ended, reached, submit
from tests.polling import poll
from tests.stack import Stack
from waybill import Client
from waybill.types import Task

pytestmark = pytest.mark.timeout(180)

WATCHERS = 200
PLAIN = 20


def headers(stack: Stack, task: Task) -> dict[str, str]:
    return {"Authorization": f"Bearer {stack.api_key}", "X-Namespace": task["namespace_id"]}


@pytest.fixture
def http(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.api_url, timeout=60) as http:
        yield http


def is_up(stack: Stack) -> bool:
    try:
        return httpx.get(f"{stack.api_url}/v1/health").is_success
    except httpx.TransportError:
        return False


def await_api(stack: Stack) -> None:
    poll(lambda: is_up(stack), description="the API answers again", within_s=60)


class Follower:
    """Reads a task's stream to its end, taking it up again wherever it is cut."""

    def __init__(self, http: httpx.Client, stack: Stack, task: Task) -> None:
        self.http = http
        self.path = f"/v1/tasks/{task['task_id']}/events"
        self.headers = headers(stack, task)
        self.transitions: list[dict[str, Any]] = []
        self.end: dict[str, Any] | None = None
        self.streams = 0

    def read(self, *, until_seq: int | None = None) -> None:
        """One stream, to its end or its cut, or to a transition."""
        last = {"Last-Event-ID": str(self.transitions[-1]["seq"])} if self.transitions else {}
        with connect_sse(self.http, "GET", self.path, headers=self.headers | last) as source:
            assert source.response.status_code == 200
            self.streams += 1
            for event in source.iter_sse():
                self.take(event)
                if event.id == str(until_seq):
                    return

    def take(self, event: ServerSentEvent) -> None:
        if event.event == "transition":
            self.transitions.append(json.loads(event.data))
        elif event.event == "end":
            self.end = json.loads(event.data)

    def ended(self) -> bool:
        try:
            self.read()
        except httpx.TransportError:
            return False
        return self.end is not None


def test_a_stream_goes_on_where_it_was_when_the_api_is_killed(
    client: Client, stack: Stack, http: httpx.Client
) -> None:
    """The job loses its connection twice, so transitions come while nobody serves the stream."""
    task = submit(client, "test_flaky")
    follower = Follower(http, stack, task)
    follower.read(until_seq=2)
    stack.kill("api")
    poll(follower.ended, description="the stream ends", within_s=90)
    assert follower.streams > 1
    assert follower.end is not None
    assert (follower.end["task_id"], follower.end["status"]) == (task["task_id"], "COMPLETED")
    expected = http.get(
        f"/v1/tasks/{task['task_id']}/history", headers=headers(stack, task)
    ).json()["results"]
    assert len(expected) == 7
    told = [{"task_id": task["task_id"], **entry} for entry in expected]
    assert follower.transitions == told


def test_a_wait_ends_with_the_change_or_with_its_time(
    client: Client, stack: Stack, http: httpx.Client
) -> None:
    task = submit(client, "test_slow", 600)
    reached(client, task, "PROCESSING")
    statuses = asyncio.run(watch_and_kill(stack, task, client))
    assert statuses == ["CANCELED"] * WATCHERS
    waiting = submit(client, "test_slow", 600)
    reached(client, waiting, "PROCESSING")
    url = f"/v1/tasks/{waiting['task_id']}"
    answer = http.get(url, params={"wait": 0.2}, headers=headers(stack, waiting))
    assert answer.json()["status"] == "PROCESSING"
    client.tasks.kill(waiting["task_id"])
    assert ended(client, waiting)["status"] == "CANCELED"


async def watch_and_kill(stack: Stack, task: Task, client: Client) -> list[str]:
    """What as many waits answer as the API has no threads for; plain requests go on meanwhile."""
    url = f"{stack.api_url}/v1/tasks/{task['task_id']}"
    many = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(
        limits=many, timeout=60, headers=headers(stack, task), params={"wait": 60}
    ) as http:
        holding = [asyncio.create_task(http.get(url)) for _ in range(WATCHERS)]
        for _ in range(PLAIN):
            plain = await asyncio.to_thread(client.tasks.history, task["task_id"])
            assert plain[-1]["to"] == "PROCESSING"
        assert not any(each.done() for each in holding)
        await asyncio.to_thread(client.tasks.kill, task["task_id"])
        answers = await asyncio.gather(*holding)
    return [answer.json()["status"] for answer in answers]


def test_an_api_that_is_to_stop_answers_what_it_holds(
    client: Client, stack: Stack, http: httpx.Client
) -> None:
    task = submit(client, "test_slow", 600)
    reached(client, task, "PROCESSING")
    where = urlsplit(stack.api_url)
    lines = [f"GET /v1/tasks/{task['task_id']}?wait=60 HTTP/1.1", "Host: x", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers(stack, task).items()]
    follower = Follower(http, stack, task)
    with socket.create_connection((where.hostname, where.port), 30) as raw:
        raw.sendall("\r\n".join([*lines, "", ""]).encode())
        follower.read(until_seq=2)  # what came before it was taken, too
        old = stack.pid("api")
        os.kill(old, signal.SIGTERM)
        answer = b"".join(iter(lambda: raw.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert json.loads(body)["status"] == "PROCESSING"
    poll(
        lambda: stack.pids().get("api", old) != old,
        description="another API runs",
        within_s=60,
    )
    await_api(stack)
    client.tasks.kill(task["task_id"])
    poll(follower.ended, description="the stream ends", within_s=60)
    assert [entry["seq"] for entry in follower.transitions] == [1, 2, 3]
