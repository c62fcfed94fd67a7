"""Regular expressions of users: bounded, valid, and without the shapes that explode."""

import re
from typing import Final

from app.errors import InvalidError
from app.query.field import Location
from app.query.value import text

MAX_PATTERN: Final = 200  # characters
MAX_UNBOUNDED: Final = 8  # `*`, `+` and `{n,}` in one pattern: time grows with their power

_QUANTIFIER: Final = re.compile(r"[*+]|\{\d+,\d*\}|\{,\d+\}|\{\d+\}")


def checked_pattern(value: object, location: Location) -> str:
    """The pattern, or `InvalidError`: too long, not valid, or with nested repetition."""
    pattern = text(value, location, max_length=MAX_PATTERN)
    if explodes(pattern):
        message = (
            "the regular expression repeats a group that itself repeats or chooses, such as "
            f"(a+)+ or (a|b)*, or has more than {MAX_UNBOUNDED} unbounded repetitions"
        )
        raise InvalidError.at(*location, message=message, kind="wrong_value")
    try:
        re.compile(pattern)
    except (re.error, Warning, OverflowError, RecursionError) as exc:
        message = f"the value is not a valid regular expression: {exc}"
        raise InvalidError.at(*location, message=message, kind="wrong_value") from exc
    return pattern


def explodes(pattern: str) -> bool:
    """Whether a repeated group repeats inside, or too many parts repeat without bound.

    Such patterns take exponential or high polynomial time in a backtracking engine (PCRE, which
    MongoDB uses). The check errs on the safe side.
    """
    groups = [False]  # for each open group: can it match one text in several ways?
    unbounded = 0
    ambiguous_group_closed = False
    position = 0
    while position < len(pattern):
        char = pattern[position]
        quantifier = _QUANTIFIER.match(pattern, position)
        if quantifier is not None:
            if ambiguous_group_closed:
                return True
            groups[-1] = True
            unbounded += quantifier[0] in "*+" or quantifier[0].endswith(",}")
            position = quantifier.end()
            continue
        ambiguous_group_closed = False
        if char == "\\":
            position += 1
        elif char == "[":
            position = _class_end(pattern, position)
        elif char == "(":
            groups.append(False)
            position += pattern.startswith("(?", position)
        elif char in "|?":
            groups[-1] = True
        elif char == ")" and len(groups) > 1:
            ambiguous_group_closed = groups.pop()
            groups[-1] = groups[-1] or ambiguous_group_closed
        position += 1
    return unbounded > MAX_UNBOUNDED


def _class_end(pattern: str, start: int) -> int:
    """Where the character class that opens at `start` closes."""
    position = start + 1
    if pattern[position : position + 1] == "^":
        position += 1
    if pattern[position : position + 1] == "]":  # a first bracket stands for itself
        position += 1
    while position < len(pattern) and pattern[position] != "]":
        position += 2 if pattern[position] == "\\" else 1
    return position
