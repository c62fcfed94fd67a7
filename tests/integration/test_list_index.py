"""Lists of tasks run on an index in its order, whatever is asked of the fields that have one."""

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

from app.database import Document
from app.errors import BadRequestError
from app.query.cursor import Direction, Sort
from app.query.page import ListQuery, Page, condition_of, list_page
from app.resources.task import FIELDS
from bench.generator import Share, fill

HERE: Final = "ns_here"
COUNT: Final = 1_000
UNTIL: Final = datetime(2026, 6, 1, tzinfo=UTC)
LIMIT: Final = 7
EARLY, LATE = (
    (UNTIL - timedelta(days=days)).isoformat().replace("+00:00", "Z") for days in (40, 20)
)
# All times are at the beginning of a day, see `tasks`: as many ties as there can be.
DAYS: Final = [f"2026-05-{day:02}T00:00:00Z" for day in (2, 9, 16)]


def where(field: str, operator: str, value: object) -> Document:
    return {"field": field, "operator": operator, "value": value}


def between(field: str) -> Document:
    return {"AND": [where(field, "gte", EARLY), where(field, "lt", LATE)]}


OF_STATUS: Final[tuple[Document, ...]] = (
    {},
    {"status": "COMPLETED"},
    {"status": "FAILED"},
    {"status": ["FAILED", "CANCELED"]},
    where("status", "ne", "COMPLETED"),
    where("status", "nin", ["FAILED", "PENDING"]),
)
OF_TYPE: Final[tuple[Document, ...]] = (
    {},
    {"task_type": "type_00"},
    {"task_type": ["type_01", "type_05", "type_09"]},
    where("task_type", "ne", "type_00"),
    where("task_type", "starts_with", "type_1"),
)
OF_TIME: Final[tuple[Document, ...]] = (
    {},
    between("created_at"),
    between("started_at"),
    between("ended_at"),
    where("ended_at", "is_null", True),
    {"AND": [where("created_at", "gt", EARLY), where("ended_at", "lte", LATE)]},
    {"NOT": [between("started_at")]},
    where("created_at", "eq", DAYS[0]),
    where("created_at", "in", DAYS),
    where("ended_at", "in", [None, *DAYS]),
    {"AND": [where("started_at", "in", DAYS), where("started_at", "gte", DAYS[0])]},
)
EITHER: Final = (
    {"OR": [{"status": "FAILED"}, {"task_type": "type_03"}]},
    {"OR": [between("created_at"), between("ended_at")], "AND": [{"status": "COMPLETED"}]},
    {"OR": [{"status": "FAILED"}, {"status": "CANCELED"}]},
)
SORTS: Final = tuple(
    Sort(field, direction)
    for field in ("created_at", "started_at", "ended_at")
    for direction in Direction
)
# Each alone in every order, then all of them together, the orders in turn.
ASKED: Final = [
    *itertools.product((*OF_STATUS, *OF_TYPE, *OF_TIME, *EITHER), SORTS),
    *zip(
        ({"AND": list(parts)} for parts in itertools.product(OF_STATUS, OF_TYPE, OF_TIME)),
        itertools.cycle(SORTS),
        strict=False,
    ),
]


class Finds(CommandListener):
    """The `find` commands that a client sent."""

    def __init__(self) -> None:
        self.sent: list[Mapping[str, Any]] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name == "find":
            self.sent.append(event.command)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Nothing: what was asked is explained, not what came of it."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Nothing."""


@pytest.fixture
def finds() -> Finds:
    return Finds()


@pytest.fixture
def tasks(
    database: Database[Document], mongo_url: str, finds: Finds
) -> Iterator[Collection[Document]]:
    """Receipts with the product's indexes, read by a client that is listened to."""
    fill(database["tasks"], [Share(HERE, 3), Share("ns_there", 1)], COUNT, until=UNTIL)
    days = {
        field: {"$dateTrunc": {"date": f"${field}", "unit": "day"}}
        for field in ("created_at", "started_at", "ended_at")
    }
    database["tasks"].update_many({}, [{"$set": days}])
    client: MongoClient[Document] = MongoClient(mongo_url, tz_aware=True, event_listeners=[finds])
    with client:
        yield client[database.name]["tasks"]


def test_every_list_by_what_has_an_index_is_read_off_one_in_its_order(
    tasks: Collection[Document], finds: Finds
) -> None:
    parent = tasks.find_one({"namespace_id": HERE, "parent_task_id": {"$ne": None}})
    assert parent is not None
    rng = random.Random(8)
    for filters, sort in ASKED:
        scope = {"namespace_id": HERE, "parent_task_id": None}
        if rng.random() < 0.1:
            scope["parent_task_id"] = parent["parent_task_id"]
        check(tasks, scope, ListQuery(filters=filters, sort=sort, limit=LIMIT))
    plans = [plan_of(tasks, command) for command in finds.sent if "hint" in command]
    assert len(plans) > len(ASKED)
    badly = [plan for plan in plans if {"COLLSCAN", "SORT"} & set(plan[1])]
    assert not badly, f"{len(badly)} of {len(plans)}, as {badly[:5]}"


def check(tasks: Collection[Document], scope: Document, query: ListQuery) -> None:
    """The first page and the next are what sorting all that is selected gives."""
    selected = tasks.find(condition_of(scope, query, FIELDS), {query.sort.field: 1})
    nothing = datetime.min.replace(tzinfo=UTC)  # null stands before all times
    expected = sorted(
        ((row[query.sort.field] or nothing, row["_id"]) for row in selected),
        reverse=query.sort.direction is Direction.DESC,
    )
    first: Page[Document] = list_page(tasks, scope, query, FIELDS)
    found = first.results
    if first.next_cursor is not None:
        following = ListQuery(
            filters=query.filters, sort=query.sort, limit=LIMIT, cursor=first.next_cursor
        )
        found += list_page(tasks, scope, following, FIELDS).results
    assert [row["_id"] for row in found] == [row_id for _, row_id in expected[: 2 * LIMIT]], query


def plan_of(
    tasks: Collection[Document], command: Mapping[str, Any]
) -> tuple[object, tuple[str, ...]]:
    """What was asked, and the stages of the plan that MongoDB takes for it."""
    kept = ("find", "filter", "sort", "skip", "limit", "hint", "projection")
    asked = {name: command[name] for name in kept if name in command}
    explained = tasks.database.command("explain", asked, verbosity="queryPlanner")
    return command["filter"], tuple(stages_of(explained["queryPlanner"]["winningPlan"]))


def stages_of(plan: Document) -> Iterator[str]:
    if "stage" in plan:
        yield plan["stage"]
    for name, inner in plan.items():
        if isinstance(inner, dict) and name in ("inputStage", "queryPlan"):
            yield from stages_of(inner)
        elif name == "inputStages":
            yield from itertools.chain.from_iterable(map(stages_of, inner))


def test_rows_are_skipped_over_moments_asked_for_one_by_one(tasks: Collection[Document]) -> None:
    scope = {"namespace_id": HERE, "parent_task_id": None}
    query = ListQuery(filters=where("ended_at", "in", [None, *DAYS]), sort=SORTS[-1])
    whole = list_page(tasks, scope, query, FIELDS).results
    at = sum(row["ended_at"] is not None for row in whole) - 1  # the parts meet here
    assert 0 < at < len(whole) - 2
    rest = list_page(tasks, scope, replace(query, skip=at), FIELDS).results
    assert [row["_id"] for row in rest] == [row["_id"] for row in whole[at:]]


def test_named_tasks_are_read_and_no_others(tasks: Collection[Document], finds: Finds) -> None:
    scope = {"namespace_id": HERE, "parent_task_id": None}
    named = [row["_id"] for row in tasks.find(scope, {"_id": 1}).limit(2 * LIMIT)]
    there = tasks.find_one({"namespace_id": "ns_there"})
    assert there is not None
    named += [there["_id"], "tsk_none"]
    for sort in SORTS:
        filters = where("task_id", "in", named)
        check(tasks, scope, ListQuery(filters=filters, sort=sort, limit=LIMIT))
    asked = {key: finds.sent[-1][key] for key in ("find", "filter", "sort", "limit", "hint")}
    explained = tasks.database.command("explain", asked, verbosity="executionStats")
    assert explained["executionStats"]["totalKeysExamined"] <= 3 * len(named)


@pytest.mark.parametrize("with_total", [False, True])
def test_what_has_no_index_is_bounded_and_says_what_would_help(
    tasks: Collection[Document], *, with_total: bool
) -> None:
    tasks.update_many({"status": "FAILED"}, {"$set": {"error_message": "b" * 5_000}})
    filters = where("error_message", "regex", "b.*[xy]")  # tries each b with each that follows
    query = ListQuery(filters=filters, within_ms=1, include_total=with_total)
    scope = {"namespace_id": HERE, "parent_task_id": None}
    with pytest.raises(BadRequestError, match=r"longer than 0.001 seconds: narrow it by status"):
        list_page(tasks, scope, query, FIELDS)


def test_a_total_that_takes_too_long_is_what_to_leave_out(tasks: Collection[Document]) -> None:
    completed = {"namespace_id": HERE, "parent_task_id": None, "status": "COMPLETED"}
    newest = tasks.find(completed, {"_id": 1}).sort([("created_at", -1), ("_id", -1)]).limit(2)
    tasks.update_many(completed, {"$set": {"error_message": "b" * 5_000}})
    tasks.update_many(
        {"_id": {"$in": [row["_id"] for row in newest]}}, {"$set": {"error_message": "bx"}}
    )
    slow = {"AND": [{"status": "COMPLETED"}, where("error_message", "regex", "b.*[xy]")]}
    scope = {"namespace_id": HERE, "parent_task_id": None}
    query = ListQuery(filters=slow, limit=1, within_ms=1_500)
    assert list_page(tasks, scope, query, FIELDS).next_cursor is not None
    with pytest.raises(BadRequestError, match=r"longer than 1.5 seconds: leave out include_total"):
        list_page(tasks, scope, replace(query, include_total=True), FIELDS)


def test_plans_are_read_to_their_leaves() -> None:
    leaf = {"stage": "IXSCAN"}
    plan = {"stage": "FETCH", "inputStage": {"stage": "SORT_MERGE", "inputStages": [leaf, leaf]}}
    assert list(stages_of(plan)) == ["FETCH", "SORT_MERGE", "IXSCAN", "IXSCAN"]
