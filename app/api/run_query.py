"""What a request asks of runs, checked."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from app.errors import InvalidError
from app.http.listing import ListParams
from app.query.cursor import EPOCH, LOCATION, Cursor, digest, read_cursor, write_cursor
from app.query.field import Field as ListField
from app.query.field import Kind
from app.query.value import EXPECTED, moment
from app.tracking.event import Status
from app.tracking.reading.run import Position, Run, RunQuery

MAX_TEXT: Final = 2_048  # characters, no less than a reference may have
DEFAULT_DAYS: Final = 7
MAX_DAYS: Final = 90
LEEWAY: Final = timedelta(hours=2)  # another's clock, the way here, a change to summer time
_MICROSECOND: Final = timedelta(microseconds=1)
_STARTED_AT: Final = ListField("started_at", Kind.NUMBER)  # microseconds: no run is left out


def _moment(value: object) -> datetime:
    found = moment(value) if isinstance(value, str) else None
    if found is None or found < EPOCH:
        message = f"the value must be {EXPECTED[Kind.DATETIME]}, 1970 or later"
        raise PydanticCustomError("wrong_value", "{message}", {"message": message})
    return found


Moment = Annotated[datetime, BeforeValidator(_moment)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT, pattern=r"^[^\x00]+$")]
Since = Annotated[Moment, Field(description="started then or later")]
Until = Annotated[Moment, Field(description="started before then")]


class RunParams(ListParams):
    """The query parameters of a list of runs."""

    service: Word | None = None
    processor: Word | None = None
    status: Status | None = None
    reference: Word | None = None
    task_id: Word | None = None
    since: Since | None = None
    until: Until | None = None
    include_event: bool = Field(
        default=False, description="with what each run was given; null where it is over 16 KiB"
    )

    def query(self, namespace_ids: frozenset[str] | None) -> RunQuery:
        """The runs that are asked for, of these namespaces."""
        if self.search is not None:
            raise InvalidError.at("query", "search", message="this list has no free-text search")
        return RunQuery(
            namespace_ids=namespace_ids,
            service_name=self.service,
            processor_name=self.processor,
            reference=self.reference,
            task_id=self.task_id,
            status=self.status,
            since=self.since,
            until=self.until,
        )


class StatisticParams(BaseModel):
    """The query parameters of statistics: the last seven days, if nothing is said."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    service: Word | None = None
    processor: Word | None = None
    since: Since | None = None
    until: Until | None = None

    def query(self, namespace_ids: frozenset[str] | None, *, now: datetime) -> RunQuery:
        """The runs that are asked for, of these namespaces, within a time that is not too long."""
        until = self.until or now
        since = self.since or until - timedelta(days=DEFAULT_DAYS)
        if since >= until:
            message = "since must be before until, which is now if nothing is said"
            raise InvalidError.at("query", "since", message=message)
        if until - since > timedelta(days=MAX_DAYS) + LEEWAY:
            message = f"since and until lie at most {MAX_DAYS} days apart"
            raise InvalidError.at("query", "since", message=message)
        return RunQuery(
            namespace_ids=namespace_ids,
            service_name=self.service,
            processor_name=self.processor,
            since=since,
            until=until,
        )


def cursor_after(run: Run, query: RunQuery) -> str:
    """The cursor of the page behind the one that ends with this run."""
    microseconds = (run.started_at - EPOCH) // _MICROSECOND
    return write_cursor(Cursor(microseconds, run.processing_id), _asked(query))


def position_of(cursor: str | None, query: RunQuery) -> Position | None:
    """Where the cursor's page begins; `InvalidError` when it is damaged or of another list."""
    if cursor is None:
        return None
    found = read_cursor(cursor, _asked(query), _STARTED_AT)
    try:
        if not isinstance(found.value, int):
            raise TypeError("the time is no integer")
        return Position(EPOCH + found.value * _MICROSECOND, UUID(found.row_id))
    except (ValueError, TypeError, OverflowError) as exc:
        message = "this is not a cursor: take next_cursor of the page before"
        raise InvalidError.at(*LOCATION, message=message) from exc


def _asked(query: RunQuery) -> str:
    ids = query.namespace_ids
    times = [at.astimezone(UTC).isoformat() if at else None for at in (query.since, query.until)]
    words = (query.service_name, query.processor_name, query.reference, query.task_id)
    return digest("runs", None if ids is None else sorted(ids), words, query.status, times)
