"""Watching a task: its receipt, now or once it has changed, and its life as it happens."""

import json
from collections.abc import AsyncGenerator, Callable
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.routing import APIRoute
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from app.api.shape import task as shape
from app.database import Document
from app.http.answer import Responses, answers
from app.http.caller import Reader, caller_of
from app.http.etag import is_among, quoted
from app.http.event_stream import EventStream
from app.http.idempotency import Handler
from app.http.watching import Watching, while_connected
from app.receipts.history import transition_json
from app.receipts.reading import Reading
from app.receipts.watch import Watch
from app.stores import Held, stores_of

RETRY_AFTER_S: Final = 1  # where the polling strategy of the first seed document begins
MAX_WAIT_S: Final = 60
KEEP_ALIVE_S: Final = 15.0
MAX_SEQ: Final = 2**31 - 1

EXAMPLE: Final = """event: progress
data: {"done": 640, "total": 1000, "percent": 64.0, "rate": 91.43, "eta_seconds": 3.9, "errors": 0}

"""
EVENTS: Final[Responses] = {
    200: {
        "description": "The events, until the task has ended.",
        "content": {"text/event-stream": {"schema": shape.EVENT, "example": EXAMPLE}},
    }
}


async def read_task(task_id: str, caller: Reader, stores: Held) -> Reading:
    """The receipt: from Redis, or from MongoDB where no copy can be believed."""
    return await stores.reader.read(task_id, namespace_id=caller.namespace_id)


Read = Annotated[Reading, Depends(read_task)]


class PlainReadRoute(APIRoute):
    """Answers reads without parameters, which pollers send more of than of all else, directly.

    Working out parameters and dependencies takes FastAPI longer than the read itself.
    """

    def get_route_handler(self) -> Handler:
        handler = super().get_route_handler()

        async def read(request: Request) -> Response:
            if request.scope["query_string"]:
                return await handler(request)
            caller = await caller_of(request)
            reading = await read_task(request.path_params["task_id"], caller, stores_of(request))
            return _answer(reading, request.headers.get("if-none-match"))

        return read


router = APIRouter(prefix="/v1/tasks", tags=["tasks"])
# Found without a search through all the others.
first = APIRouter(
    prefix="/v1/tasks",
    tags=["tasks"],
    route_class=PlainReadRoute,
    generate_unique_id_function=lambda route: route.name,
)


@first.get(
    "/{task_id}",
    responses=answers(
        shape.Task, headers=("ETag", "Retry-After"), also={304: {"description": "Not changed."}}
    ),
)
async def get_task(
    request: Request,
    watch: Watching,
    reading: Read,
    wait: Annotated[float, Query(ge=0, le=MAX_WAIT_S, description="seconds", examples=[30])] = 0,
    if_none_match: Annotated[str | None, Header(description="one `ETag`, or several")] = None,
) -> Response:
    """The receipt. `wait` holds the answer until there is news, for so many seconds at most.

    News is another status than the task had when the request came or, with `If-None-Match`,
    another `ETag`. A task that has ended is answered at once. Without news the answer is what
    there is, or 304 where the `ETag` is the same.
    """
    if wait and not reading.terminal:
        is_news = _unlike(if_none_match) if if_none_match else _beyond(reading)
        with watch.on(reading) as topic:
            held = watch.hold(topic, is_news, within_s=wait)
            reading = await while_connected(request, held) or reading
    # Whoever waits has waited: the next look may come at once.
    return _answer(reading, if_none_match, retry_after_s=0 if wait else RETRY_AFTER_S)


def _answer(
    reading: Reading, if_none_match: str | None, *, retry_after_s: int = RETRY_AFTER_S
) -> Response:
    headers = {"ETag": quoted(reading.etag)}
    if not reading.terminal:
        headers["Retry-After"] = str(retry_after_s)
    if if_none_match and is_among(headers["ETag"], if_none_match):
        return Response(status_code=304, headers=headers)
    return Response(reading.body, media_type="application/json", headers=headers)


def _beyond(before: Reading) -> Callable[[Reading], bool]:
    return lambda reading: reading.status is not before.status


def _unlike(tags: str) -> Callable[[Reading], bool]:
    return lambda reading: reading.terminal or not is_among(quoted(reading.etag), tags)


@router.get("/{task_id}/events", status_code=200, response_class=EventStream, responses=EVENTS)
async def stream_task(
    caller: Reader,
    watch: Watching,
    reading: Read,  # before the stream begins: a task that is not there is answered with 404
    last_event_id: Annotated[
        int,
        Header(
            alias="Last-Event-ID",
            ge=0,
            le=MAX_SEQ,
            description="the `id` of the last event that came",
        ),
    ] = 0,
) -> EventStream:
    """The task's life as server-sent events, from its first transition or after `Last-Event-ID`.

    `transition`: an entry of the history, with the `task_id`; its `id` is the entry's `seq`. Each
    comes once, in order. `progress`: the task's `progress`, whenever it has changed. `end`: the
    whole task, once it has ended, and the stream closes. After 15 seconds in which nothing
    happens there is a comment. A stream that was cut goes on with `Last-Event-ID`.
    """
    return EventStream(_events(watch, reading, last_event_id, with_traceback=caller.is_admin))


async def _events(
    watch: Watch, first: Reading, seq: int, *, with_traceback: bool
) -> AsyncGenerator[bytes, None]:
    version, shown = 0, None
    with watch.on(first) as topic:
        while True:
            reading = await topic.after(version, within_s=KEEP_ALIVE_S)
            if reading is not None:
                for entry in (await watch.history(topic, within_s=KEEP_ALIVE_S))[seq:]:
                    seq = entry["seq"]  # the first is 1
                    yield _transition(topic.task_id, entry, with_traceback=with_traceback)
            if reading is None or topic.told < reading.version:
                if topic.is_over:
                    return  # the process is to stop, or the receipt is past its retention
                yield KEEPALIVE_COMMENT
                continue
            if reading.terminal:
                yield format_sse_event(event="end", data_str=reading.body.decode())
                return
            version = reading.version
            if topic.progress not in (None, shown):
                shown = topic.progress
                yield format_sse_event(event="progress", data_str=json.dumps(shown))


def _transition(task_id: str, entry: Document, *, with_traceback: bool) -> bytes:
    data = {"task_id": task_id, **transition_json(entry, with_traceback=with_traceback)}
    return format_sse_event(event="transition", id=str(entry["seq"]), data_str=json.dumps(data))
