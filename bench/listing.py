"""Pages of `POST /v1/tasks/list` in a namespace of a million receipts, beside one of ten thousand.

Through the HTTP API of one stack, one request at a time, the same shapes of both namespaces, the
small one's receipts spread among the large one's as time has it. `python -m bench.listing 100000`
takes another size, and prints the rows.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import httpx
from pymongo import MongoClient

from app.database import Document
from app.query.cursor import Cursor, Direction, Sort, digest, write_cursor
from app.query.page import ListQuery, condition_of
from app.resources.task import FIELDS
from bench.generator import SPAN, TYPES, Share, fill
from bench.report import table
from bench.rounds import alternate
from bench.row import Row, at_most, figure, noted, within
from bench.stack import bench_stack
from waybill import Client

LARGE: Final = 1_000_000
SMALL: Final = 10_000
REACH_MS: Final = 25.0
REACH: Final = 1.2
PAGES: Final = 40  # of each shape, a round
LIMIT: Final = 100

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a page is asked for; a deep one has half of the namespace before it."""

    name: str
    body: Json
    is_deep: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A namespace whose pages are timed."""

    http: httpx.Client
    name: str
    middle: datetime

    def p95_ms(self, body: Json) -> float:
        """Of `PAGES` pages."""
        took = sorted(self._page_ms(body) for _ in range(PAGES))
        return took[int(0.95 * len(took))]

    def _page_ms(self, body: Json) -> float:
        began_s = time.perf_counter()
        found = self.listed(body)["results"]
        took_ms = 1000 * (time.perf_counter() - began_s)
        if len(found) != LIMIT:  # pages of different lengths take different times
            raise AssertionError(f"a page of {len(found)} in {self.name} for {body}")
        return took_ms

    def listed(self, body: Json) -> Document:
        """The answer."""
        headers = {"X-Namespace": self.name}
        answer = self.http.post("/v1/tasks/list", json={"limit": LIMIT} | body, headers=headers)
        if answer.status_code != 200:
            raise AssertionError(answer.text)
        listed: Document = answer.json()
        return listed


def rows(large: int = LARGE) -> list[Row]:
    """A row for the p95 of each shape, and one for its ratio to the same at `SMALL`."""
    until = datetime.now(UTC)
    with bench_stack() as (stack, client):
        made_s = _fill(client, stack.mongo_url, large, until)
        headers = {"Authorization": f"Bearer {stack.api_key}"}
        with httpx.Client(base_url=stack.api_url, headers=headers, timeout=30) as http:
            here, there = (Place(http, name, until - SPAN / 2) for name in ("large", "small"))
            found = [row for shape in shapes(until) for row in _compared(shape, here, there, large)]
        rate = figure((large + SMALL) / made_s)
        return [*found, noted("receipts made by bench.generator", f"{rate} a second")]


def shapes(until: datetime) -> Iterator[Shape]:
    """What is asked of both namespaces."""
    month = {"field": "created_at", "operator": "gte", "value": _text(until - SPAN / 2)}
    of_type: Json = {"task_type": TYPES[3], "filters": {"AND": [month]}}
    by_end: Json = {"sort": {"field": "ended_at", "direction": "desc"}}
    yield Shape("no filter", {})
    yield Shape("status FAILED", {"status": "FAILED"})
    yield Shape("one type of 24, half of the time", of_type)
    yield Shape("by ended_at", by_end)
    yield Shape("by ended_at, COMPLETED of one type", by_end | {"status": "COMPLETED"} | of_type)
    yield Shape("no filter, half of all before", {}, is_deep=True)
    yield Shape("by ended_at, half of all before", by_end, is_deep=True)


def _compared(shape: Shape, here: Place, there: Place, large: int) -> Iterator[Row]:
    mine, other = (_timed(place, shape) for place in (here, there))
    found = alternate(mine, other)
    name = f"list of {large:,}, {shape.name}, {LIMIT} a page"
    p95_ms = statistics.median(found.ours)
    yield within(f"{name}: p95", p95_ms, reach=REACH_MS, unit="ms")
    yield at_most(name, found, reach=REACH, unit="ms", against=f"p95 at {SMALL:,}")


def _timed(place: Place, shape: Shape) -> Callable[[], float]:
    body = dict(shape.body)
    if shape.is_deep:
        body["cursor"] = _deep(place, shape)
    return lambda: place.p95_ms(body)


def _deep(place: Place, shape: Shape) -> str:
    """The cursor that a reader has who has come from the newest row to the middle of the time.

    Made as the API makes it: to walk there takes longer than all that is measured.
    """
    asked = shape.body.get("sort", {"field": "created_at"})
    assert isinstance(asked, dict)
    sort = Sort(asked["field"], Direction.DESC)
    before = {"field": sort.field, "operator": "lte", "value": _text(place.middle)}
    (row, *_) = place.listed({**shape.body, "filters": before})["results"]
    scope = {"namespace_id": row["namespace_id"], "parent_task_id": None}
    belongs_to = digest(condition_of(scope, ListQuery(sort=sort), FIELDS), sort)
    at = datetime.fromisoformat(row[sort.field])
    return write_cursor(Cursor(at, row["task_id"]), belongs_to)


def _fill(client: Client, mongo_url: str, large: int, until: datetime) -> float:
    """The seconds that it took."""
    ids = [client.namespaces.create(name)["namespace_id"] for name in ("large", "small")]
    shares = [Share(ids[0], large), Share(ids[1], SMALL)]
    mongo: MongoClient[Document] = MongoClient(mongo_url, tz_aware=True)
    with mongo:
        began_s = time.perf_counter()
        fill(mongo["waybill"]["tasks"], shares, large + SMALL, until=until)
        return time.perf_counter() - began_s


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


if __name__ == "__main__":
    print("\n".join(table(rows(*map(int, sys.argv[1:2])))))
