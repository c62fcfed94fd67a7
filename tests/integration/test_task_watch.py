"""A task that is watched over HTTP: answers that are held, and streams of events."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from httpx_sse import EventSource, ServerSentEvent, connect_sse
from pymongo.database import Database
from redis import Redis

from app.access.permission import Permission
from app.database import Document
from app.main import create_app
from app.receipts.cache import KEY_PREFIX
from app.receipts.ledger import Ledger
from app.receipts.progress import begin
from app.receipts.receipt import Piece, Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.store import Ending
from app.receipts.transition import Move
from app.settings import Settings
from app.stores import Stores
from tests.integration.conftest import serving
from tests.integration.receipts import COMPLETED, claim, create
from tests.integration.resources import ClientMaker, error, made, places
from tests.polling import poll

SUSPEND = Move((TaskStatusEnum.PENDING,), TaskStatusEnum.SUSPENDED, actor="key:test")


@pytest.fixture
def task(stores: Stores) -> Receipt:
    return create(stores.ledger, namespace_id=default_namespace(stores))


def default_namespace(stores: Stores) -> str:
    return stores.namespaces.ensure_default().namespace_id


def path(task: Receipt) -> str:
    return f"/v1/tasks/{task.task_id}"


def finish(ledger: Ledger, task: Receipt, ending: Ending = COMPLETED) -> Receipt:
    claimed, by = claim(ledger, task)
    ledger.receipts.report(task.task_id, by.token, begin(10, claimed.created_at))
    done = ledger.receipts.finish(task.task_id, by.token, ending, worker=by.worker)
    assert done is not None
    return done


def watched(api: FastAPI) -> int:
    count: int = api.state.watch.watched
    return count


def test_a_plain_read_is_answered_as_one_with_a_parameter(
    client: httpx.Client, client_for: ClientMaker, task: Receipt, stores: Stores
) -> None:
    other = made(client.post("/v1/namespaces", json={"namespace_name": "other"}))["namespace_id"]
    foreign = client_for(Permission.READ, [other], namespace=other)
    unknown = client_for(namespace="ns_none")
    blind = httpx.Client(base_url=client.base_url, headers={"Authorization": "Bearer sk_none"})
    assert client.get(path(task)).status_code == 200  # there is a copy from here on
    asked = [
        (client, path(task), {}, 200),
        (client, path(task), {"If-None-Match": "*"}, 304),
        (client, "/v1/tasks/%00%F0%9F%98%80%ff", {}, 404),
        (foreign, path(task), {}, 404),
        (unknown, path(task), {}, 404),
        (blind, path(task), {}, 401),
    ]
    finish(stores.ledger, task)
    with blind:
        for each, of, headers, status in asked:
            headers = {"X-Request-ID": "mine", **headers}
            plain, other_way = (
                each.get(of, params=params, headers=headers) for params in ({}, {"wait": "0"})
            )
            assert plain.status_code == status
            assert without_date(plain) == without_date(other_way)
            assert plain.headers.get_list("X-Request-ID") == ["mine"]


def without_date(answer: httpx.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    """What two answers to one question have in common."""
    headers = [pair for pair in answer.headers.multi_items() if pair[0] != "date"]
    return answer.status_code, headers, answer.content


def test_a_wait_is_bounded(client: httpx.Client, task: Receipt) -> None:
    for wait in ("-1", "60.5", "nan", "inf", "soon", ""):
        found = error(client.get(path(task), params={"wait": wait}), 422, "ValidationError")
        assert places(found) == [["query", "wait"]]


def test_nothing_is_held_for_what_is_not_there(
    client: httpx.Client, client_for: ClientMaker, task: Receipt
) -> None:
    namespace = made(client.post("/v1/namespaces", json={"namespace_name": "other"}))
    theirs = client_for(namespace=namespace["namespace_id"])
    for way in ("?wait=60", "/events"):
        error(client.get(f"/v1/tasks/tsk_0{way}"), 404, "NotFoundError")
        error(theirs.get(path(task) + way), 404, "NotFoundError")


def test_an_ended_task_is_answered_at_once(
    client: httpx.Client, stores: Stores, task: Receipt
) -> None:
    finish(stores.ledger, task)
    answer = client.get(path(task), params={"wait": 60})
    assert made(answer)["status"] == "COMPLETED"
    assert "retry-after" not in answer.headers
    again = {"If-None-Match": answer.headers["etag"]}
    assert client.get(path(task), params={"wait": 60}, headers=again).status_code == 304


def test_when_the_time_has_passed_the_answer_is_what_there_is(
    client: httpx.Client, task: Receipt
) -> None:
    answer = client.get(path(task), params={"wait": 0.1})
    assert made(answer)["status"] == "PENDING"
    assert answer.headers["retry-after"] == "0"  # whoever has waited may ask at once


def test_an_unchanged_etag_is_not_answered_again(
    client: httpx.Client, redis_url: str, task: Receipt
) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.delete(KEY_PREFIX + task.task_id)  # the copy of the write, which has no place yet
    etag = client.get(path(task)).headers["etag"]
    for tags in (etag, f"W/{etag}", f'"other", {etag}', f'"other",W/{etag}', "*"):
        for wait in (0, 0.1):
            headers = {"If-None-Match": tags}
            answer = client.get(path(task), params={"wait": wait}, headers=headers)
            assert (answer.status_code, answer.content) == (304, b"")
            assert answer.headers["etag"] == etag
            assert answer.headers["retry-after"] == ("0" if wait else "1")
    other = client.get(path(task), params={"wait": 60}, headers={"If-None-Match": '"other"'})
    assert made(other)["task_id"] == task.task_id


def test_a_held_answer_comes_with_the_change_through_any_process(
    client: httpx.Client, api: FastAPI, settings: Settings, stores: Stores, task: Receipt
) -> None:
    second = create_app(settings)
    with serving(second) as url, ThreadPoolExecutor() as pool:
        for each in (str(client.base_url), url):
            made(httpx.get(each + path(task), headers=client.headers))
        by_status = pool.submit(client.get, path(task), params={"wait": 60})
        elsewhere = pool.submit(
            httpx.get, f"{url}{path(task)}?wait=60", headers=client.headers, timeout=30
        )
        for process in (api, second):
            poll(partial(watched, process), description="held", within_s=30)
        claimed, by = claim(stores.ledger, task)
        first = by_status.result()
        assert made(first)["status"] == made(elsewhere.result())["status"] == "PROCESSING"
        headers = {"If-None-Match": first.headers["etag"]}
        by_etag = pool.submit(client.get, path(task), params={"wait": 60}, headers=headers)
        poll(lambda: watched(api), description="held", within_s=30)
        progress = begin(10, claimed.created_at)
        stores.ledger.receipts.report(task.task_id, by.token, progress)
        answer = made(by_etag.result())
        assert (answer["status"], answer["progress"]["total"]) == ("PROCESSING", 10)


def test_a_client_that_leaves_is_waited_for_no_longer(
    client: httpx.Client, api: FastAPI, task: Receipt
) -> None:
    for way in ("?wait=60", "/events"):
        with asking(client, path(task) + way):
            poll(lambda: watched(api) == 1, description="it is watched", within_s=30)
        poll(lambda: watched(api) == 0, description="nobody watches", within_s=30)


@contextmanager
def asking(client: httpx.Client, target: str) -> Iterator[socket.socket]:
    """A connection on which a request was sent, and nothing is read meanwhile."""
    lines = [f"GET {target} HTTP/1.1", "Host: x"]
    lines += [f"Authorization: {client.headers['authorization']}", "", ""]
    host, port = client.base_url.host, client.base_url.port or 80
    with socket.create_connection((host, port), 5) as raw:
        raw.sendall("\r\n".join(lines).encode())
        yield raw


def lengthen(database: Database[Document], task: Receipt) -> int:
    """Gives the task a history that no connection takes in at once, and says how long it is."""
    found = database["tasks"].find_one({"_id": task.task_id})
    assert found is not None
    reason = "x" * 400_000
    more = [{**found["history"][0], "seq": seq, "reason": reason} for seq in range(2, 17)]
    update = {"$push": {"history": {"$each": more}}, "$inc": {"version": len(more)}}
    database["tasks"].update_one({"_id": task.task_id}, update)
    return len(more) + 1


def test_a_client_that_leaves_while_events_wait_for_it_is_forgotten(
    client: httpx.Client, api: FastAPI, database: Database[Document], task: Receipt
) -> None:
    lengthen(database, task)
    with asking(client, f"{path(task)}/events") as raw:
        assert raw.recv(12) == b"HTTP/1.1 200"
        poll(lambda: watched(api) == 1, description="it is watched", within_s=30)
    poll(lambda: watched(api) == 0, description="nobody watches", within_s=30)


def test_a_stream_goes_on_with_what_happened_while_it_was_read(
    client: httpx.Client, stores: Stores, database: Database[Document], task: Receipt
) -> None:
    length = lengthen(database, task)
    with streamed(client, task) as events:
        seen = [next(events)]
        claimed, by = claim(stores.ledger, task)
        known = client.get(path(task), params={"wait": 0.1})  # from now on the process knows of it
        assert made(known)["status"] == "PROCESSING"
        seen.append(next(events))
        stores.ledger.receipts.finish(claimed.task_id, by.token, COMPLETED, worker=by.worker)
        seen += events
    assert told(seen)[-1] == ("end", "COMPLETED")
    seqs = [content[0] for kind, content in told(seen) if kind == "transition"]
    assert seqs == list(range(1, length + 3))


@contextmanager
def streamed(
    client: httpx.Client, task: Receipt, after: int | None = None
) -> Iterator[Iterator[ServerSentEvent]]:
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    with connect_sse(client, "GET", f"{path(task)}/events", headers=headers) as source:
        yield opened(source)


def opened(source: EventSource) -> Iterator[ServerSentEvent]:
    assert source.response.status_code == 200
    assert source.response.headers["content-type"].startswith("text/event-stream")
    assert source.response.headers["cache-control"] == "no-cache"
    return source.iter_sse()


def told(events: list[ServerSentEvent]) -> list[tuple[str, Any]]:
    """Kind and content of each event: a transition's seq and status, progress, a task's status."""
    return [(event.event, content(event.event, json.loads(event.data))) for event in events]


def content(kind: str, data: dict[str, Any]) -> Any:
    if kind == "transition":
        return data["seq"], data["to"]
    return data["total"] if kind == "progress" else data["status"]


def test_a_stream_tells_every_transition_once_and_ends(
    client: httpx.Client, stores: Stores, task: Receipt
) -> None:
    with streamed(client, task) as events:
        first = next(events)
        assert (first.event, first.id) == ("transition", "1")
        assert json.loads(first.data)["task_id"] == task.task_id
        claimed, by = claim(stores.ledger, task)
        seen = [next(events)]
        for total in (10, 20):
            progress = begin(total, claimed.created_at)
            stores.ledger.receipts.report(task.task_id, by.token, progress)
            seen.append(next(events))
        stores.ledger.receipts.finish(task.task_id, by.token, COMPLETED, worker=by.worker)
        seen += events
    assert told(seen) == [
        ("transition", (2, "PROCESSING")),
        ("progress", 10),
        ("progress", 20),
        ("transition", (3, "COMPLETED")),
        ("end", "COMPLETED"),
    ]
    assert [event.id for event in seen if event.event == "transition"] == ["2", "3"]
    expected = made(client.get(f"{path(task)}/history"))["results"]
    entries = [json.loads(event.data) for event in [first, *seen] if event.event == "transition"]
    assert entries == [{"task_id": task.task_id, **entry} for entry in expected]
    receipt = made(client.get(path(task)))
    ended = json.loads(seen[-1].data)
    assert {**ended, "additional_data": None} == {**receipt, "additional_data": None}


def test_a_stream_goes_on_after_the_last_event(
    client: httpx.Client, stores: Stores, task: Receipt
) -> None:
    finish(stores.ledger, task)
    for after, expected in [(None, [1, 2, 3]), (0, [1, 2, 3]), (1, [2, 3]), (3, []), (99, [])]:
        with streamed(client, task, after) as events:
            *transitions, end = told(list(events))
        assert [content[0] for _, content in transitions] == expected
        assert end == ("end", "COMPLETED")


def test_a_malformed_last_event_id_is_refused(client: httpx.Client, task: Receipt) -> None:
    for sent in ("x", "-1", "1.5", "", "tsk_1", "9" * 12):
        response = client.get(f"{path(task)}/events", headers={"Last-Event-ID": sent})
        assert places(error(response, 422, "ValidationError")) == [["header", "Last-Event-ID"]]


def test_a_stream_tells_what_was_never_announced(
    client: httpx.Client, stores: Stores, task: Receipt
) -> None:
    receipts = stores.ledger.receipts
    with streamed(client, task) as events:
        seen = [next(events)]
        receipts.move_many(SUSPEND, sets={}, among={"_id": task.task_id})
        seen.append(next(events))
        stores.ledger.suspensions.resume(task.task_id, actor="key:test")
        finish(stores.ledger, task)
        seen += events
    statuses = [content[1] for kind, content in told(seen) if kind == "transition"]
    assert statuses == ["PENDING", "SUSPENDED", "PENDING", "PROCESSING", "COMPLETED"]


def test_tracebacks_are_for_admins(client_for: ClientMaker, stores: Stores, task: Receipt) -> None:
    ending = Ending(TaskStatusEnum.FAILED, error_message="broken", traceback="line 1\nline 2")
    finish(stores.ledger, task, ending)
    for permission in (Permission.ADMIN, Permission.DELETE):
        with streamed(client_for(permission), task, after=2) as events:
            data = json.loads(next(events).data)
        assert data["reason"] == "broken"
        assert data.get("traceback") == (
            "line 1\nline 2" if permission is Permission.ADMIN else None
        )
        assert ("traceback" in data) is (permission is Permission.ADMIN)


def test_children_have_streams(client: httpx.Client, stores: Stores, task: Receipt) -> None:
    families = stores.ledger.families
    parent, by = claim(stores.ledger, task)
    families.create_children(parent, "test_piece", [Piece(0, [0], 1)], at=datetime.now(UTC))
    assert families.fan_out(parent, by.token, units=1)
    (child,) = families.waiting(parent.task_id)
    with streamed(client, child) as events:
        seen = [next(events)]
        finish(stores.ledger, child)
        seen += events
    assert told(seen)[-1] == ("end", "COMPLETED")


def test_a_stream_ends_with_its_receipt(
    client: httpx.Client, database: Database[Document], redis_url: str, task: Receipt
) -> None:
    with streamed(client, task) as events, Redis.from_url(redis_url) as redis:
        assert told([next(events)]) == [("transition", (1, "PENDING"))]
        database["tasks"].delete_one({"_id": task.task_id})
        redis.delete(KEY_PREFIX + task.task_id)
        assert list(events) == []


def test_a_stream_needs_a_key(client: httpx.Client, task: Receipt) -> None:
    url = f"{client.base_url}{path(task)}/events"
    error(httpx.get(url), 401, "UnauthorizedError")
