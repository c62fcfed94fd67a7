"""One run of a processor, from its start to its end."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

Status = Literal["in-progress", "success", "failure"]
Outcome = Literal["success", "failure"]

IN_PROGRESS: Final = "in-progress"
STATUSES: Final = get_args(Status)
OUTCOMES: Final = get_args(Outcome)


@dataclass
class ProcessingEvent:
    """A row of datastore.processing_events.

    `event` is the JSON object that the run was given, `reference` what it is called elsewhere (a
    run id, an S3 key). Times are aware, in UTC.
    """

    processing_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    service_name: str = ""
    processor_name: str = ""
    reference: str = ""
    event: dict[str, Any] = field(default_factory=dict)
    status: Status = IN_PROGRESS
    status_note: str | None = None
    input_rows: int | None = None
    output_rows: int | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended_at: datetime | None = None

    def check_init(self) -> None:
        """`ValueError` naming the field that is missing or is not valid."""
        for name in ("processing_id", "service_name", "processor_name", "reference"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                raise ValueError(
                    f"{name}={value!r} is not valid: it must be text that says something"
                )
        event: object = self.event
        if not isinstance(event, dict):
            kind = type(event).__name__
            raise ValueError(f"event is not valid: it must be a dict, not a {kind}")  # noqa: TRY004
        for name in ("input_rows", "output_rows"):
            _check_rows(name, getattr(self, name))
        self._check_times()
        self.check_status()

    def check_status(self) -> None:
        """`ValueError` where the status is none of 'in-progress', 'success', 'failure'."""
        if self.status not in STATUSES:
            raise ValueError(f"status={self.status!r} is not valid: it must be one of {STATUSES}")

    def finish_job(
        self,
        status: Outcome,
        status_note: str | None = None,
        output_rows: int | None = None,
    ) -> None:
        """Ends the run now. `ValueError` where it has ended already, or `status` is no end."""
        if status not in OUTCOMES:
            raise ValueError(f"status={status!r} is not valid: it must be one of {OUTCOMES}")
        if self.is_finished():
            raise ValueError(f"The run '{self.processing_id}' has ended already ({self.status})")
        _check_rows("output_rows", output_rows)
        # The clock may have been set back since, or be that of another machine.
        self.ended_at = max(datetime.now(UTC), self.started_at)
        self.status = status
        self.status_note = status_note
        self.output_rows = output_rows

    def is_finished(self) -> bool:
        """Whether the run has ended, as a success or a failure."""
        return self.status in OUTCOMES

    def _check_times(self) -> None:
        for name in ("started_at", "ended_at"):
            value = getattr(self, name)
            if value is None and name == "ended_at":
                continue
            if not isinstance(value, datetime) or value.tzinfo is None:
                raise ValueError(f"{name}={value!r} is not valid: it must be a time with a zone")
        if self.ended_at is not None and self.ended_at < self.started_at:
            raise ValueError("ended_at is not valid: it lies before started_at")
        if (self.ended_at is not None) != self.is_finished():
            raise ValueError(
                f"ended_at={self.ended_at} does not go with status={self.status!r}: "
                "a run has an end when it is no longer in progress"
            )


def _check_rows(name: str, rows: object) -> None:
    if rows is None:
        return
    if not isinstance(rows, int) or isinstance(rows, bool) or rows < 0:
        raise ValueError(f"{name}={rows!r} is not valid: it must be a count, 0 or more")
