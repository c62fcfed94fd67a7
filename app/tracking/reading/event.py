"""Events as people get them; pure."""

import json
from typing import Any, Final

from app.tracking.payload import MAX_DEPTH

# Of a list: a page of larger ones would be hundreds of MB. One run alone has all of its event.
LISTED_BYTES: Final = 16_384
# JSONB takes up to four times the bytes of its text. Its size is known without reading it.
_STORED_BYTES: Final = 8 * LISTED_BYTES

WHOLE: Final = "event::text"
SHORT: Final = f"""
    CASE WHEN pg_column_size(event) <= {_STORED_BYTES}
        AND octet_length(event::text) <= {LISTED_BYTES} THEN event::text END"""
NONE: Final = "NULL::text"


def read_event(text: str | None) -> dict[str, Any] | None:
    """The event of this text; None where there is none, or one that no tracker has stored.

    PostgreSQL nests deeper and counts further than readers of JSON do, Python's among them.
    """
    try:
        event: dict[str, Any] | None = None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None
    return None if _is_too_deep(event) else event


def _is_too_deep(event: object) -> bool:
    level = [event]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for part in level for inner in _parts(part)]
    return bool(level)


def _parts(value: object) -> list[object]:
    match value:
        case dict():
            return list(value.values())
        case list():
            return value
        case _:
            return []
