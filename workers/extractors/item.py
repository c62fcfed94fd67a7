"""Takes one input out of an item, and puts vectors back beside the failures."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeVar

from app.json_value import is_unicode
from app.resources.extractor import Extraction, Failure, FailureType, Vector

T = TypeVar("T")

_SAID: Final[dict[type, str]] = {str: "text", bytes: "the bytes of an image"}


def take(item: Mapping[str, object], name: str, kind: type[T]) -> T | Failure:
    """The value of input `name`, or why it cannot be used. A null counts as missing."""
    value = item.get(name)
    if value is None:
        return Failure(FailureType.MISSING_INPUT, f"the object has no '{name}'")
    if not isinstance(value, kind):
        wanted = _SAID.get(kind, kind.__name__)
        found = type(value).__name__
        return Failure(FailureType.WRONG_TYPE, f"'{name}' must be {wanted}, not a {found}")
    return value


def take_text(item: Mapping[str, object], name: str) -> str | Failure:
    """The text of input `name`, or why it cannot be used; it can be written as UTF-8."""
    text = take(item, name, str)
    if isinstance(text, str) and not is_unicode(text):
        return Failure(FailureType.UNREADABLE, f"'{name}' is not Unicode text (a lone surrogate)")
    return text


def merge(
    parts: Sequence[object | Failure], vectors: Iterable[Vector | Failure]
) -> list[Extraction]:
    """The failures among `parts` where they are, and for each other part the next of `vectors`."""
    rest = iter(vectors)
    return [part if isinstance(part, Failure) else next(rest) for part in parts]
