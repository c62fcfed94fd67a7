"""The lines of a spool: a JSON object each, of an owner, of a run's start, or of its end.

A start has the whole row, an end what it changes. Times are RFC 3339.
"""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from app.tracking.event import ProcessingEvent
from app.tracking.owner import Owner
from app.tracking.payload import written

Line = dict[str, Any]

STARTED: Final = "started"
ENDED: Final = "ended"
OF_END: Final = ("processing_id", "status", "status_note", "output_rows", "ended_at")
# One for all lines: json.dumps() makes one for each, and json.loads() guesses at encodings.
_encoder: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_decoder: Final = json.JSONDecoder()


def owner_line(owner: Owner) -> bytes:
    """The first line of a segment: whose runs the others are of."""
    return _written(asdict(owner))


def owner_of(line: bytes) -> Owner:
    """The owner that a first line names; `ValueError` where it names none."""
    try:
        return Owner(**_read(line))
    except TypeError as exc:
        raise ValueError("The first line names no owner") from exc


def start_line(event: ProcessingEvent) -> bytes:
    """The payload is one that the tracker has checked; `ValueError` where it is not JSON."""
    times = {"started_at": event.started_at.isoformat(), "ended_at": _time(event.ended_at)}
    row = {"kind": STARTED, **vars(event), **times}
    del row["event"]  # it has its text already
    return f'{_encoder.encode(row)[:-1]}, "event": {written(event.event)}}}\n'.encode()


def end_line(event: ProcessingEvent) -> bytes:
    changes = {name: getattr(event, name) for name in OF_END}
    return _written({"kind": ENDED, **changes, "ended_at": _time(event.ended_at)})


def read_line(line: bytes) -> Line:
    """A start or an end; `ValueError` where it is neither."""
    found = _read(line)
    if found.get("kind") not in (STARTED, ENDED) or not isinstance(found["processing_id"], str):
        raise ValueError("The line is neither a run's start nor its end")
    return found


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _written(fields: Line) -> bytes:
    return _encoder.encode(fields).encode() + b"\n"


def _read(line: bytes) -> Line:
    try:
        found = _decoder.decode(line.decode())
    except RecursionError as exc:
        raise ValueError("The line is nested too deep") from exc
    if not isinstance(found, dict):
        raise ValueError("The line is no JSON object")  # noqa: TRY004
    return found
