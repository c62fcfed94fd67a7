"""PostgreSQL: whether it answers, and has the tables of runs."""

from typing import Final

import psycopg

from app.doctor.finding import Finding, fail, ok, warn
from app.doctor.subject import Subject
from app.errors import WaybillError
from app.tracking.schema import missing_migrations

CONNECT_WITHIN_S: Final = 3
OLDEST: Final = 14_00_00  # as the server counts its versions
ANSWER_WITHIN: Final = "-c statement_timeout=3000"


def look_at_postgres(subject: Subject) -> list[Finding]:
    """Nothing where no URL is set."""
    url = subject.settings.postgres_url
    if url is None:
        return []
    try:
        with psycopg.connect(
            url, connect_timeout=CONNECT_WITHIN_S, options=ANSWER_WITHIN
        ) as connection:
            connection.execute("SELECT 1")
            found = connection.info.server_version
            tables = _tables(connection)
    except psycopg.Error as exc:
        problem = f"does not answer ({type(exc).__name__})"
        return [fail("postgres", problem, "start it, and see that WAYBILL_POSTGRES_URL names it")]
    name = f"PostgreSQL {found // 10_000}.{found % 10_000}"
    if found < OLDEST:
        return [fail("postgres", f"{name} is too old", "use PostgreSQL 14 or newer")]
    return [ok("postgres", f"{name} answers"), tables]


def _tables(connection: psycopg.Connection) -> Finding:
    try:
        missing = missing_migrations(connection)
    except WaybillError as exc:
        return fail("postgres.tables", str(exc), "let this user read the schema datastore")
    if missing:
        problem = f"{len(missing)} migrations of datastore.processing_events are not applied"
        return warn("postgres.tables", problem, "start a worker, as a user who may make tables")
    return ok("postgres.tables", "the tables of runs are there")
