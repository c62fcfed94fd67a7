"""Migrations of datastore.processing_events, on a real PostgreSQL."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.errors import CheckViolation

from app.tracking.schema import ChangedMigrationError, apply_migrations, migrations
from tests.integration.runs import add_run, migrate

STARTERS = 8
START = datetime(2026, 1, 31, tzinfo=UTC)


def applied(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT version FROM datastore.schema_migrations ORDER BY 1")
        return rows.fetchall()


def test_many_that_start_at_once_apply_each_migration_once(postgres_url: str) -> None:
    together = threading.Barrier(STARTERS)

    def start(_: int) -> None:
        with psycopg.connect(postgres_url) as connection:
            together.wait()
            apply_migrations(connection)

    with ThreadPoolExecutor(STARTERS) as pool:
        list(pool.map(start, range(STARTERS)))
    assert applied(postgres_url) == [(step.version,) for step in migrations()]


def test_one_who_may_only_read_and_write_starts_where_nothing_is_to_do(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as owner:
        apply_migrations(owner)
        owner.execute("CREATE ROLE guest_of_migrations")
        owner.execute("GRANT USAGE ON SCHEMA datastore TO guest_of_migrations")
        owner.execute("GRANT SELECT ON ALL TABLES IN SCHEMA datastore TO guest_of_migrations")
        owner.commit()
        owner.execute("SET ROLE guest_of_migrations")
        apply_migrations(owner)
        owner.execute("RESET ROLE")
        owner.execute("DROP OWNED BY guest_of_migrations")
        owner.execute("DROP ROLE guest_of_migrations")


def test_a_migration_that_was_changed_since_is_named(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        apply_migrations(connection)
        connection.execute("UPDATE datastore.schema_migrations SET digest = 'of other statements'")
        connection.commit()
        with pytest.raises(ChangedMigrationError, match=r"Migration 1 \(processing_events\)"):
            apply_migrations(connection)


def test_a_row_that_is_no_run_is_refused(postgres_url: str) -> None:
    """Whoever writes rows by SQL: a time that no reader holds would keep all pages from people."""
    migrate(postgres_url)
    add_run(postgres_url, START, duration_s=0.0)
    for wrong in (
        "status = 'done'",
        "status = 'in-progress'",
        "ended_at = NULL",
        "ended_at = started_at - interval '1 microsecond'",
        "started_at = '-infinity'",
        "started_at = '0044-03-15 00:00Z BC'",
        "started_at = '20000-01-01 00:00Z', ended_at = '20000-01-01 00:00Z'",
        "ended_at = 'infinity'",
        "status = 'in-progress', started_at = 'infinity', ended_at = NULL",
        "input_rows = -1",
        "event = '[]'",
        "reference = ''",
    ):
        with psycopg.connect(postgres_url) as connection, pytest.raises(CheckViolation):
            connection.execute(f"UPDATE datastore.processing_events SET {wrong}".encode())


def test_the_files_are_numbered_without_a_gap() -> None:
    found = [step.version for step in migrations()]
    assert found == list(range(1, len(found) + 1))
    assert all(Path(step.name).name == step.name for step in migrations())
