"""ProcessingTracker: what runs in this process, and the row of each run in PostgreSQL."""

import atexit
import json
import os
import threading
import uuid
from dataclasses import replace
from typing import Any, Final, SupportsIndex, get_args

import structlog

from app.errors import PermanentError, TransientError
from app.settings import load_settings, required
from app.tracking.client import RDSClient, RowsAwayError, check_client
from app.tracking.event import Outcome, ProcessingEvent
from app.tracking.payload import (
    MAX_REFERENCE_BYTES,
    check_count,
    check_name,
    encode,
    note_of,
    taken,
)
from app.tracking.pool import LazyPool
from app.tracking.registry import Registry
from app.tracking.rows import IdType, Rows
from app.tracking.sharing import Sharing
from app.tracking.ttl_set import TTLSet

log = structlog.get_logger(__name__)

POOL_MOST: Final = 8  # connections of one process


class ProcessingTracker:
    """The runs of one processor of one service: one instance for each such pair in a process.

    Thread-safe; no lock is held while PostgreSQL is asked. Without `sql_client`, a connection or
    pool of any driver, a pool over WAYBILL_POSTGRES_URL is opened at first use. Without
    `service_name`, it is that of the environment variable SERVICE_NAME.
    """

    def __new__(
        cls,
        service_name: str | None,
        processor_name: str,
        sql_client: RDSClient | Rows | None = None,
    ) -> "ProcessingTracker":
        check_name("processor_name", processor_name)
        names = _key(service_name, processor_name)
        return _registry.get_or_make(names, lambda: object.__new__(cls)._named(*names))

    def __init__(
        self,
        service_name: str | None,
        processor_name: str,
        sql_client: RDSClient | Rows | None = None,
    ) -> None:
        # The rest is there: whoever meets this instance in the registry meets all of it.
        if sql_client is not None:
            self._use(sql_client)

    def _named(self, service_name: str, processor_name: str) -> "ProcessingTracker":
        self._service_name: str | None = service_name or None
        self._processor_name = processor_name
        self._sql_client: RDSClient | Rows | None = None
        self._begin()
        return self

    def _begin(self) -> None:
        """Nothing runs, nothing is open; so in a new instance and in a process just forked."""
        self._lock = threading.RLock()
        self._running_job_ids: dict[str, ProcessingEvent] = {}
        self._references: dict[str, str] = {}
        self._ending: set[str] = set()
        self._finished_job_ids = TTLSet()
        self._failed_job_ids = TTLSet()
        self._rows: Rows | None = None
        self._own_pool: LazyPool | None = None
        self._beats = False
        self._gone: str | None = None

    @property
    def service_name(self) -> str:
        """The service. `ValueError` where neither it nor SERVICE_NAME is set."""
        with _registry.lock:
            if self._service_name is None:
                name = _key(None, self._processor_name)[0]
                if not name:
                    raise ValueError(
                        "service_name is not set: give it, or set the environment variable "
                        f"{VARIABLE}"
                    )
                _registry.rename(("", self._processor_name), (name, self._processor_name), self)
                self._service_name = name
            return self._service_name

    @property
    def processor_name(self) -> str:
        """The processor."""
        return self._processor_name

    @property
    def sql_client(self) -> RDSClient | Rows:
        """What rows are stored through, opened at first use.

        `SettingsError` where none was given and WAYBILL_POSTGRES_URL is not set.
        """
        with self._lock:
            if self._gone is not None:
                raise RuntimeError(self._gone)
            if self._sql_client is None:
                url = required(load_settings().postgres_url, "postgres_url")
                self._own_pool = self._sql_client = LazyPool(url, most=POOL_MOST)
            return self._sql_client

    def start_event(
        self, reference: str, event: dict[str, Any], input_rows: int | None = None
    ) -> str | None:
        """Stores that a run has started; returns its id, or None where it could not be stored.

        Where the reference is in progress already, the id is that run's: it goes on. `ValueError`
        names what of the arguments PostgreSQL cannot hold.
        """
        made = self._made(reference, event, input_rows)
        rows = self._opened()
        self._beat()
        try:
            stored = rows.start(made)
        except (TransientError, PermanentError) as exc:
            self._warn("tracking.start_failed", exc, reference=reference)
            return None
        with self._lock:
            # Another that started the same reference may have ended it meanwhile.
            if not self._has_ended(stored.processing_id):
                self._running_job_ids[stored.processing_id] = stored
                self._references[reference] = stored.processing_id
        return stored.processing_id

    def end_event(
        self,
        processing_id: str,
        success: bool = True,
        status_note: str | None = None,
        output_rows: int | None = None,
    ) -> bool:
        """Stores the end of a run, whoever started it; True where this call has ended it.

        False where the id is unknown, where the run has ended already, and where the end could
        not be stored: then it is still running, and the next call may succeed. Of a note that
        PostgreSQL cannot hold, what it cannot is replaced or cut off.
        """
        output = check_count("output_rows", output_rows)
        known_id = self._id(processing_id)
        if known_id is None:
            return False
        outcome: Outcome = "success" if success else "failure"
        rows = self._opened()
        with self._lock:
            if self._has_ended(known_id) or known_id in self._ending:
                return False
            ended = self._ended(known_id, outcome, note_of(status_note), output)
            self._ending.add(known_id)
        stored: bool | None = None
        try:
            stored = rows.finish(ended)
        except (TransientError, PermanentError) as exc:
            self._warn("tracking.end_failed", exc, processing_id=known_id)
        finally:
            self._settle(ended, outcome, stored)
        return stored is True

    def get_event(self, id_value: str, id_type: IdType = "processing_id") -> ProcessingEvent | None:
        """The run as the table has it, of a reference the one that started last; None without.

        A run that is not in the table yet, or that is in progress here while PostgreSQL is away,
        is told from memory; `RowsAwayError` where it is away and the run is not known here.
        """
        if id_type not in get_args(IdType):
            raise ValueError(
                f"id_type={id_type!r} is not valid: it must be one of {get_args(IdType)}"
            )
        wanted = _uuid(id_value) if id_type == "processing_id" else _readable(id_value)
        if wanted is None:
            return None
        try:
            found = self._opened().find(self.service_name, self._processor_name, wanted, id_type)
        except RowsAwayError:
            running = self._running(wanted, id_type)
            if running is None:
                raise
            return running
        return found or self._running(wanted, id_type)

    def get_processing_id(self, reference: str) -> str | None:
        """The id of the run of that reference that is in progress here, or None."""
        with self._lock:
            return self._references.get(reference)

    def close(self) -> None:
        """Ends this instance: the next of its names is a new one.

        Its heartbeat stops and a pool of its own is closed; what is in progress stays so in the
        table, for whoever ends it, until its owner has been silent for too long.
        """
        with _registry.lock:
            _registry.remove(self)
        with self._lock:
            client, pool = self._sql_client, self._own_pool
            self._rows = None
            self._gone = "This tracker is closed: construct it again"
        if client is not None and not isinstance(client, Rows):
            _sharing.leave(client, self)
        if pool is not None:
            pool.close()

    def _id(self, value: object) -> str | None:
        """The id as the table has it, or None where it is none."""
        is_ours = isinstance(value, str) and value in self._running_job_ids
        return str(value) if is_ours else _uuid(value)

    def _use(self, sql_client: RDSClient | Rows) -> None:
        if self._sql_client is sql_client:
            return
        if not isinstance(sql_client, Rows):
            check_client(sql_client)
        with self._lock:
            if self._sql_client is None:
                self._sql_client = sql_client
            elif self._sql_client is not sql_client:
                raise ValueError(
                    f"sql_client is not valid: the tracker of {self._processor_name!r} uses "
                    "another one; close() it first"
                )

    def _opened(self) -> Rows:
        with self._lock:
            if self._rows is None:
                client = self.sql_client
                if isinstance(client, Rows):
                    self._rows = client
                else:
                    self._rows = _sharing.join(client, self, self._told)
            return self._rows

    def _beat(self) -> None:
        """Once something is in progress here, this process is to be heard."""
        client = self._sql_client
        if self._beats or client is None:
            return
        if not isinstance(client, Rows):
            _sharing.beat(client)
        self._beats = True

    def _made(
        self, reference: str, event: dict[str, Any], input_rows: SupportsIndex | None
    ) -> ProcessingEvent:
        return ProcessingEvent(
            service_name=self.service_name,
            processor_name=self._processor_name,
            reference=check_name("reference", reference, most_bytes=MAX_REFERENCE_BYTES),
            event=taken(event),  # a copy, which the caller cannot change
            input_rows=check_count("input_rows", input_rows),
        )

    def _ended(
        self, processing_id: str, outcome: Outcome, note: str | None, output_rows: int | None
    ) -> ProcessingEvent:
        running = self._running_job_ids.get(processing_id)
        if running is None:  # another process started it
            ended = ProcessingEvent(processing_id, self.service_name, self._processor_name)
        else:
            ended = ProcessingEvent(**vars(running))
        ended.finish_job(outcome, note, output_rows)
        return ended

    def _settle(self, ended: ProcessingEvent, outcome: Outcome, stored: bool | None) -> None:
        """What is remembered of an end that was stored, found none to end (False), or failed."""
        with self._lock:
            self._ending.discard(ended.processing_id)
            if stored is None:
                return
            self._forget(ended.processing_id)
            if stored:
                self._ended_ids(outcome).add(ended.processing_id)

    def _running(self, wanted: str, id_type: IdType) -> ProcessingEvent | None:
        with self._lock:
            key = self._references.get(wanted) if id_type == "reference" else wanted
            found = self._running_job_ids.get(key) if key is not None else None
        return None if found is None else replace(found, event=json.loads(encode(found.event)))

    def _leave_parent(self) -> None:
        """In a process just forked: the connections are the parent's, and so are its runs."""
        client, is_own = self._sql_client, self._own_pool is not None
        self._begin()
        if client is None or isinstance(client, Rows):
            return
        _inherited.append(client)
        if is_own:
            self._sql_client = None  # the next use opens another
        else:
            _registry.remove(self)
            self._gone = (
                "This tracker's sql_client belongs to the process before the fork: construct it "
                "again with one of this process"
            )

    def _told(self, processing_id: str, outcome: Outcome) -> None:
        """Another process has ended the run."""
        with self._lock:
            if processing_id in self._running_job_ids:
                self._forget(processing_id)
                self._ended_ids(outcome).add(processing_id)

    def _forget(self, processing_id: str) -> None:
        event = self._running_job_ids.pop(processing_id, None)
        if event is not None and self._references.get(event.reference) == processing_id:
            del self._references[event.reference]

    def _has_ended(self, processing_id: str) -> bool:
        return processing_id in self._finished_job_ids or processing_id in self._failed_job_ids

    def _ended_ids(self, outcome: Outcome) -> TTLSet:
        return self._finished_job_ids if outcome == "success" else self._failed_job_ids

    def _warn(self, name: str, exc: Exception, **fields: str) -> None:
        names = {"service": self._service_name, "processor": self._processor_name, **fields}
        log.warning(name, error=str(exc), **names)


VARIABLE: Final = "SERVICE_NAME"

_registry: Registry[ProcessingTracker] = Registry()
_sharing = Sharing()
# A parent's connections, which the child must not even close: never collected.
_inherited: list[object] = []


def _key(service_name: str | None, processor_name: str) -> tuple[str, str]:
    """The names an instance is known by; no service where nothing names one."""
    name = service_name or os.environ.get(VARIABLE)
    return (check_name("service_name", name) if name else "", processor_name)


def _uuid(value: object) -> str | None:
    """The id as the table has it, or None where it is none."""
    try:
        return str(uuid.UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _readable(reference: object) -> str | None:
    """The reference, or None where no row can have it."""
    try:
        return check_name("reference", reference, most_bytes=MAX_REFERENCE_BYTES)
    except ValueError:
        return None


def _after_fork() -> None:
    _registry.lock = threading.RLock()
    _inherited.append(_sharing.forget())
    for tracker in _registry.all():
        tracker._leave_parent()


def _at_exit() -> None:
    _sharing.end()
    for tracker in _registry.all():
        tracker.close()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
