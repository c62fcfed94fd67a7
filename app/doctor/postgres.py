"""PostgreSQL: whether it answers."""

from typing import Final

import psycopg

from app.doctor.finding import Finding, fail, ok
from app.doctor.subject import Subject

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
    except psycopg.Error as exc:
        problem = f"does not answer ({type(exc).__name__})"
        return [fail("postgres", problem, "start it, and see that WAYBILL_POSTGRES_URL names it")]
    name = f"PostgreSQL {found // 10_000}.{found % 10_000}"
    if found < OLDEST:
        return [fail("postgres", f"{name} is too old", "use PostgreSQL 14 or newer")]
    return [ok("postgres", f"{name} answers")]
