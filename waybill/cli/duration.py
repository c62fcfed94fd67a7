"""Times as people type them: `2h` ago, or a date; pure."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import typer

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?[smhdw])+")
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
LONGEST_S: Final = 100 * 365 * 86_400.0

FORM: Final = "a duration is a number with s, m, h, d or w, such as 90s, 2h or 1d12h"


def seconds(text: str) -> float:
    """The seconds that `90s`, `2h`, `1d12h` or a bare `30` mean; `ValueError` with a sentence."""
    text = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        total_s = float(text)
    elif _DURATION.fullmatch(text):
        total_s = sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(text))
    else:
        raise ValueError(FORM)
    if total_s > LONGEST_S:
        raise ValueError("a duration is at most a hundred years")
    return total_s


def moment(text: str, now: datetime) -> datetime:
    """The time that a duration ago, or an ISO date or time, means.

    Without an offset it is the local time. `ValueError` with a sentence.
    """
    try:
        return now - timedelta(seconds=seconds(text))
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError, OSError) as exc:
        raise ValueError(f"{FORM}; a time such as 2026-01-31 or 2026-01-31T12:00Z") from exc


def shown(length_s: float) -> str:
    """`48 s`, `12 min`, `5 h` or `3 days`: the largest unit that leaves two or more, if any."""
    for unit_s, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if length_s >= 2 * unit_s:
            return f"{int(length_s // unit_s)} {name}"
    return f"{int(length_s)} s"


def option(text: str | None) -> float | None:
    """The seconds of an option such as `--timeout 90s`; None where it was not given."""
    if text is None:
        return None
    try:
        return seconds(text)
    except ValueError as exc:
        raise typer.BadParameter(f"{exc}.") from exc
