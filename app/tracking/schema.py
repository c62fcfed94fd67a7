"""The numbered migrations of `sql/`: in order, each once, whoever starts at the same time."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import structlog

from app.errors import PermanentError
from app.tracking.client import Cursor, RDSClient, transaction

log = structlog.get_logger(__name__)

FOLDER: Final = files("app.tracking") / "sql"
# Held to the end of the transaction, so also let go by a process that is killed.
# Any number will do that no other program of this database takes.
LOCK_ID: Final = 0x57_41_59_42  # "WAYB"

VERSIONS: Final = """
    CREATE TABLE datastore.schema_migrations (
        version    integer PRIMARY KEY,
        name       text NOT NULL,
        digest     text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )
"""


class ChangedMigrationError(PermanentError):
    """A migration is not the one that the database had applied."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema: applied whole, in one transaction with the others."""

    version: int
    name: str
    statements: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.statements.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Every file `sql/NNNN_name.sql`, by number."""
    found = [path for path in FOLDER.iterdir() if path.name.endswith(".sql")]
    return [
        _read(path.name, path.read_text()) for path in sorted(found, key=lambda each: each.name)
    ]


def _read(file_name: str, statements: str) -> Migration:
    number, _, name = file_name.removesuffix(".sql").partition("_")
    return Migration(int(number), name, statements)


def apply_migrations(client: RDSClient) -> None:
    """Brings the schema up to date; safe to repeat and to run from several processes at once.

    Where nothing is to do it only reads, so a user without the right to create may call it. A
    schema that is newer than this code stays as it is.
    """
    steps = migrations()
    with transaction(client) as cursor:
        if not _missing(cursor, steps):
            return
    with transaction(client) as cursor:  # its first statement: what follows sees the others' work
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK_ID,))
        if not _has_schema(cursor):
            cursor.execute("CREATE SCHEMA IF NOT EXISTS datastore")
            cursor.execute(VERSIONS)
        for step in _missing(cursor, steps):
            cursor.execute(step.statements)
            cursor.execute(
                "INSERT INTO datastore.schema_migrations (version, name, digest)"
                " VALUES (%s, %s, %s)",
                (step.version, step.name, step.digest),
            )
            log.info("tracking.migrated", version=step.version, name=step.name)


def missing_migrations(client: RDSClient) -> list[str]:
    """The names of those that are not applied; the next worker that starts applies them."""
    with transaction(client) as cursor:
        return [step.name for step in _missing(cursor, migrations())]


def _missing(cursor: Cursor, steps: Sequence[Migration]) -> list[Migration]:
    """What is not applied yet. `ChangedMigrationError` where something else was."""
    if not _has_schema(cursor):
        return list(steps)
    cursor.execute("SELECT version, digest FROM datastore.schema_migrations")
    applied = dict(cursor.fetchall())
    for step in steps:
        if applied.get(step.version, step.digest) != step.digest:
            raise ChangedMigrationError(
                f"Migration {step.version} ({step.name}) of datastore.processing_events was "
                "changed after it was applied: add a new one instead"
            )
    return [step for step in steps if step.version not in applied]


def _has_schema(cursor: Cursor) -> bool:
    # Not to_regclass(): it answers from a cache that need not know of a commit a moment ago.
    cursor.execute(
        "SELECT count(*) FROM pg_catalog.pg_tables"
        " WHERE schemaname = 'datastore' AND tablename = 'schema_migrations'"
    )
    return bool(cursor.fetchone()[0])
