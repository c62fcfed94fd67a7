"""Runs are read off indexes, and summed up as anybody else would, whatever PostgreSQL does."""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import numpy as np
import psycopg
import pytest

from app.embedded.port import LOOPBACK
from app.errors import BadRequestError, UnavailableError
from app.tracking.event import STATUSES, Status
from app.tracking.reading.patience import Patience
from app.tracking.reading.reader import AWAY, RunReader
from app.tracking.reading.run import Position, RunQuery, Window, page_statement
from tests.chaos.link import Way
from tests.chaos.proxy import Proxy
from tests.integration.runs import INSERT, add_run, migrate
from tests.polling import poll

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
NOW: Final = datetime(2026, 3, 1, tzinfo=UTC)
LIMIT: Final = 10
HURRIED: Final = Patience(connection_s=1, statement_s=0.4, answer_s=0.6)
# Rare things lie far back: whoever walks along the wrong index reads all that came after them.
MANY: Final = """
    INSERT INTO datastore.processing_events
        (processing_id, service_name, processor_name, reference, event, status, started_at,
         ended_at, owner_id)
    SELECT
        gen_random_uuid(),
        CASE WHEN i < 40 THEN 'rare' ELSE 'waybill' END,
        CASE WHEN i < 80 THEN 'rare' ELSE 'embed' || i % 3 END,
        CASE WHEN i % 5 = 0 THEN 'run/' || i ELSE 'tsk_' || i / 20 || '/' || i END,
        CASE WHEN i % 7 = 0 THEN '{}' ELSE jsonb_build_object('namespace_id', 'ns_' || i % 4) END,
        CASE WHEN i % 500 = 0 THEN 'failure' WHEN i > 19950 THEN 'in-progress' ELSE 'success' END,
        timestamptz '2026-01-01 00:00Z' + i / 3 * interval '1 minute',
        CASE WHEN i % 500 = 0 OR i <= 19950
            THEN timestamptz '2026-01-01 00:01Z' + i / 3 * interval '1 minute' END,
        'tests'
    FROM generate_series(1, 20000) AS i
"""
SCOPES: Final = (None, frozenset({"ns_1"}), frozenset({"ns_1", "ns_2", "ns_3"}))
FILTERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "nothing": {},
    "service": {"service_name": "rare"},
    "processor": {"processor_name": "rare"},
    "status": {"status": "failure"},
    "running": {"status": "in-progress"},
    "success": {"status": "success"},
    "reference": {"reference": "tsk_5/101"},
    "task": {"task_id": "tsk_5"},
    "time": {"since": START + timedelta(hours=1), "until": START + timedelta(hours=3)},
    "several": {"service_name": "waybill", "processor_name": "embed1", "status": "success"},
}


@pytest.fixture
def reader(postgres_url: str) -> Iterator[RunReader]:
    found = RunReader(postgres_url)
    yield found
    found.close()


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The node of a plan, and all below it."""
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes(each)


def plan_of(connection: psycopg.Connection[Any], query: RunQuery, window: Window) -> Any:
    asked = page_statement(query, window, with_events=True)
    found = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {asked.text}", asked.values)
    ((((plan,),)),) = found.fetchall()
    return plan["Plan"]


def test_every_page_is_read_off_an_index_and_little_else_is(postgres_url: str) -> None:
    migrate(postgres_url)
    after = Position(START + timedelta(days=2), UUID(int=2**127))
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(MANY)
        connection.execute("ANALYZE datastore.processing_events")
        for ids, (name, asked), position in product(SCOPES, FILTERS.items(), (None, after)):
            plan = plan_of(connection, RunQuery(ids, **asked), Window(LIMIT, 0, position))
            kinds = [each["Node Type"] for each in nodes(plan)]
            assert "Seq Scan" not in kinds, (name, ids, kinds)
            # A few for each that is shown of each namespace: those that are sorted are few, too.
            read = sum(
                each["Actual Rows"] + each.get("Rows Removed by Filter", 0)
                for each in nodes(plan)
                if "Relation Name" in each
            )
            assert read <= 20 * LIMIT * len(ids or ["all"]), (name, ids, read)


def test_pages_by_cursor_and_by_number_have_every_run_once(
    reader: RunReader, postgres_url: str
) -> None:
    """Many started in the same moment: their ids order them."""
    migrate(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(MANY.replace("20000", "300"))
    for ids in SCOPES:
        query = RunQuery(ids)
        whole = reader.page(query, Window(1_000))
        assert len(whole) == reader.count(query) == len({run.processing_id for run in whole})
        keys = [(run.started_at, UUID(run.processing_id)) for run in whole]
        assert keys == sorted(keys, reverse=True)
        numbered = [reader.page(query, Window(LIMIT, skip)) for skip in range(0, len(whole), LIMIT)]
        assert [run for page in numbered for run in page] == whole
        followed, after = reader.page(query, Window(LIMIT)), keys[LIMIT - 1]
        while page := reader.page(query, Window(LIMIT, 0, Position(*after))):
            followed += page
            after = (page[-1].started_at, UUID(page[-1].processing_id))
        assert followed == whole
    nowhere = RunQuery(frozenset())
    assert (reader.page(nowhere, Window(1)), reader.count(nowhere)) == ([], 0)


Row = tuple[str, str, Status, datetime, float | None, int | None, int | None]


def random_rows(rng: random.Random) -> Iterator[Row]:
    for _ in range(600):
        status: Status = rng.choices(STATUSES, (1, 8, 2))[0]
        started_at = START + timedelta(seconds=rng.uniform(0, 3 * 86_400))
        duration_s = None if status == "in-progress" else round(rng.expovariate(0.1), 3)
        rows = (rng.choice((None, 0, rng.randrange(10**6))), rng.choice((None, 2**62)))
        yield ("s", rng.choice("abc"), status, started_at, duration_s, *rows)
    for status in STATUSES:  # alone on its day: nothing has ended, or in no time
        duration_s = None if status == "in-progress" else 0.0
        yield ("s", status, status, START, duration_s, 5, None)


def expected(rows: Sequence[Row]) -> tuple[object, ...]:
    """Rates, quantiles and sums of one processor's day."""
    ended = [row for row in rows if row[4] is not None]
    durations = [row[4] for row in ended if row[4] is not None]
    counted = [(row[5] if row[5] is not None else row[6], row[4]) for row in ended]
    said = [
        (count, length) for count, length in counted if count is not None and length is not None
    ]
    total_s = sum(length for _, length in said)
    given, made = ([row[i] for row in rows if row[i] is not None] for i in (5, 6))
    failures = sum(row[2] == "failure" for row in rows)
    return (
        len(rows),
        len(rows) - len(ended),
        sum(row[2] == "success" for row in rows),
        failures,
        failures / len(ended) if ended else None,
        *(np.quantile(durations, [0.5, 0.95, 1.0]).tolist() if ended else [None] * 3),
        sum(x for x in given if x is not None) if given else None,
        sum(x for x in made if x is not None) if made else None,
        sum(count for count, _ in said) / total_s if total_s else None,
    )


def test_statistics_are_those_of_numpy_over_the_same_rows(
    reader: RunReader, postgres_url: str
) -> None:
    migrate(postgres_url)
    rows = list(random_rows(random.Random(7)))
    groups: defaultdict[tuple[str, str, str], list[Row]] = defaultdict(list)
    values = []
    for number, row in enumerate(rows):
        service, processor, status, started_at, duration_s, given, made = row
        groups[(started_at.date().isoformat(), service, processor)].append(row)
        ended_at = None if duration_s is None else started_at + timedelta(seconds=duration_s)
        times = (started_at, ended_at)
        named = (UUID(int=number), service, processor, f"r{number}", "{}", status, None)
        values.append((*named, given, made, *times))
    with psycopg.connect(postgres_url) as connection, connection.cursor() as cursor:
        cursor.executemany(INSERT, values)
    add_run(postgres_url, START - timedelta(seconds=1))  # before the time that is asked for
    add_run(postgres_url, NOW)
    found = reader.statistics(RunQuery(since=START, until=NOW))
    assert [(each.day, each.processor_name) for each in found] == sorted(
        {(each.day, each.processor_name) for each in found},
        key=lambda pair: (-pair[0].toordinal(), pair[1]),
    )
    assert len(found) == len(groups)
    for each in found:
        group = groups[(each.day.isoformat(), each.service_name, each.processor_name)]
        told = (
            *(each.runs, each.in_progress, each.successes, each.failures, each.failure_rate),
            *(each.p50_s, each.p95_s, each.max_s),
            *(each.input_rows, each.output_rows, each.rows_per_second),
        )
        for ours, theirs in zip(told, expected(group), strict=True):
            assert (ours is None) is (theirs is None), each
            assert ours is None or ours == pytest.approx(theirs, rel=1e-9, abs=1e-6), each


def test_statistics_of_too_many_processors_are_refused(
    reader: RunReader, postgres_url: str
) -> None:
    migrate(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(MANY.replace("'embed' || i % 3", "'embed' || i"))
    with pytest.raises(BadRequestError, match="more than 10,000 days of processors"):
        reader.statistics(RunQuery())
    assert len(reader.statistics(RunQuery(processor_name="embed2000"))) == 1


def answers(reader: RunReader) -> bool:
    """Whether it reads runs within its patience, which is less than a machine may stall."""
    try:
        return reader.page(RunQuery(), Window(1)) == []
    except (BadRequestError, UnavailableError):
        return False


def wait_for(reader: RunReader) -> None:
    poll(lambda: answers(reader), description="runs are read", within_s=30)


def test_a_question_that_takes_too_long_is_the_askers_to_narrow(postgres_url: str) -> None:
    """PostgreSQL says so, and is heard however late."""
    reader = RunReader(postgres_url, patience=replace(HURRIED, connection_s=30, answer_s=30))
    wait_for(reader)
    with psycopg.connect(postgres_url, autocommit=True) as other:
        with other.transaction():
            other.execute("LOCK TABLE datastore.processing_events")
            with pytest.raises(BadRequestError, match=r"longer than 0\.4 seconds: narrow"):
                reader.page(RunQuery(), Window(1))
        wait_for(reader)
    reader.close()


def test_who_does_not_answer_is_not_waited_for(postgres_url: str) -> None:
    proxy = Proxy()
    port = urlsplit(postgres_url).port
    assert port is not None
    link = proxy.open("postgres", port)
    reader = RunReader(postgres_url.replace(f":{port}/", f":{link.port}/"), patience=HURRIED)
    try:
        wait_for(reader)
        poll(lambda: link.connections == 1, description="one connection is kept", within_s=30)
        link.delay(600)
        with pytest.raises(UnavailableError, match=r"PostgreSQL.*does not answer"):
            reader.page(RunQuery(), Window(1))
    finally:
        proxy.close()
        reader.close()


def test_a_connection_that_died_in_silence_is_replaced(postgres_url: str) -> None:
    proxy = Proxy()
    port = urlsplit(postgres_url).port
    assert port is not None
    link = proxy.open("postgres", port)
    reader = RunReader(postgres_url.replace(f":{port}/", f":{link.port}/"), patience=HURRIED)
    try:
        wait_for(reader)
        link.hush(Way.DOWN)
        wait_for(reader)
    finally:
        proxy.close()
        reader.close()


def test_one_that_comes_back_is_found_soon(reader: RunReader, postgres_url: str) -> None:
    """Connections that a restart took away are not handed out."""
    assert reader.page(RunQuery(), Window(1)) == []
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert reader.page(RunQuery(), Window(1)) == []
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("ALTER TABLE datastore.processing_events RENAME TO gone")
    with pytest.raises(UnavailableError, match="PostgreSQL refuses"):
        reader.page(RunQuery(), Window(1))
    with psycopg.connect(postgres_url, autocommit=True) as other:  # as where the database is new
        other.execute("DROP SCHEMA datastore CASCADE")
    assert reader.page(RunQuery(), Window(1)) == []
    gone = RunReader(f"postgresql://nobody@{LOOPBACK}:1/none", patience=HURRIED)
    with pytest.raises(UnavailableError, match=AWAY):
        gone.count(RunQuery())
    gone.close()
    with pytest.raises(UnavailableError, match="WAYBILL_POSTGRES_URL"):
        RunReader(None).count(RunQuery())
