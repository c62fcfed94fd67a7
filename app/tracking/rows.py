"""What a tracker needs of the place where its rows are kept."""

from typing import Literal, Protocol, runtime_checkable

from app.tracking.event import ProcessingEvent

IdType = Literal["processing_id", "reference"]


@runtime_checkable
class Rows(Protocol):
    """The table in PostgreSQL (`EventTable`), or a disk on the way to it (`Spool`).

    Each call raises `RowsAwayError` where it is not known whether it was stored, and
    `RowsRefusedError` where it cannot be.
    """

    def start(self, event: ProcessingEvent) -> ProcessingEvent:
        """Stores the run, unless its reference is in progress; returns the one that is."""
        ...

    def finish(self, event: ProcessingEvent) -> bool:
        """Stores the end of a run; False where no row was in progress under its id."""
        ...

    def find(
        self, service_name: str, processor_name: str, id_value: str, id_type: IdType
    ) -> ProcessingEvent | None:
        """The run, of a reference the one that started last, or None."""
        ...
