"""What a list is asked for: `--filter`, `--since`, `--until` and `--sort`; pure."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from waybill.cli.duration import moment

JsonObject = dict[str, object]

# Longer signs first: `>=` is no `>`.
_OPERATORS: Final = {
    "!=": "ne",
    ">=": "gte",
    "<=": "lte",
    "=": "eq",
    ">": "gt",
    "<": "lt",
    "~": "contains",
}
_CONDITION: Final = re.compile(r"\s*([\w.\-]+)\s*(!=|>=|<=|=|>|<|~)\s*(.*?)\s*", re.DOTALL)
FORM: Final = (
    "a filter reads field=value, with one of = != > >= < <= ~ (contains), such as attempt>1"
)


def condition(text: str) -> JsonObject:
    """The condition that `field=value` means; `ValueError` with a sentence.

    A value that is a number, true, false, null or a quoted text of JSON is that, else the text as
    it stands.
    """
    read = _CONDITION.fullmatch(text)
    if read is None:
        raise ValueError(FORM)
    field, sign, value = read.groups()
    return {"field": field, "operator": _OPERATORS[sign], "value": _value(value)}


def filters(
    conditions: Sequence[str],
    *,
    since: str | None = None,
    until: str | None = None,
    now: datetime,
) -> JsonObject | None:
    """All that must hold, as the API takes it; None when nothing was asked."""
    asked = [condition(text) for text in conditions]
    for operator, text in (("gte", since), ("lte", until)):
        if text is not None:
            at = moment(text, now).astimezone(UTC).isoformat(timespec="milliseconds")
            value = at.replace("+00:00", "Z")
            asked.append({"field": "created_at", "operator": operator, "value": value})
    return {"AND": asked} if asked else None


def sort(text: str | None) -> JsonObject | None:
    """`field`, descending, or `field:asc`; None when nothing was asked."""
    if text is None:
        return None
    field, _, direction = text.partition(":")
    if not field or direction not in ("", "asc", "desc"):
        raise ValueError("an order reads field, field:asc or field:desc, such as created_at:asc")
    return {"field": field, "direction": direction or "desc"}


def _value(text: str) -> object:
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str | int | float | bool | None) else text
