"""Documents grouped by values of their fields: clusters that nothing is computed for."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.errors import PermanentError
from app.json_value import JsonValue

MAX_GROUPS: Final = 10_000
# Of the values of all groups together, which one answer shows.
MAX_CHARACTERS: Final = 4_000_000

# The texts of the values that a group is of, one for each of the attributes that it is by.
_Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Documents whose attributes have these values; None where a document has none.

    `level` is 0 for a group that is part of no other; `parent` is the place, in the list, of the
    group that this one is part of.
    """

    values: Mapping[str, JsonValue]
    document_ids: Sequence[str]
    parent: int | None
    level: int


def group(
    rows: Iterable[tuple[str, Sequence[JsonValue]]],
    attributes: Sequence[str],
    *,
    hierarchical: bool,
) -> list[Group]:
    """Groups by the values of the attributes, in their order, of each document of `rows`.

    Larger groups come first, equal ones in the order of their values' JSON. Hierarchical: a group
    for each prefix of the attributes, right before its parts. Raises `PermanentError` over 10,000
    groups, or 4 million characters of their values. 1 and 1.0 are the same value; a list's order
    matters, an object's does not.
    """
    first = 1 if hierarchical else len(attributes)
    members: dict[_Key, list[str]] = {}
    values: dict[str, JsonValue] = {}
    characters = 0
    for document_id, found in rows:
        texts = tuple(_text(value) for value in found)
        for length in range(first, len(attributes) + 1):
            key = texts[:length]
            if key not in members:
                characters += sum(map(len, key))
                _require_few(len(members), characters, attributes)
                members[key] = []
            members[key].append(document_id)
        for text, value in zip(texts, found, strict=True):
            values.setdefault(text, value)
    return _ordered(members, values, attributes, first)


def _ordered(
    members: Mapping[_Key, Sequence[str]],
    values: Mapping[str, JsonValue],
    attributes: Sequence[str],
    first: int,
) -> list[Group]:
    places: dict[_Key, int] = {}
    groups: list[Group] = []

    def path(key: _Key) -> list[tuple[int, _Key]]:
        """The sort key: size and values of each group from the outermost one to this."""
        ends = range(first, len(key) + 1)
        return [(-len(members[key[:end]]), key[:end]) for end in ends]

    for key in sorted(members, key=path):
        places[key] = len(groups)
        shown = {name: values[text] for name, text in zip(attributes, key, strict=False)}
        parent = places.get(key[:-1])
        groups.append(Group(shown, members[key], parent, len(key) - first))
    return groups


def _text(value: JsonValue) -> str:
    """The same for values that are the same."""
    return json.dumps(_whole(value), sort_keys=True, ensure_ascii=False)


def _whole(value: JsonValue) -> JsonValue:
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_whole(item) for item in value]
        case dict():
            return {name: _whole(item) for name, item in value.items()}
        case _:
            return value


def _require_few(count: int, characters: int, attributes: Sequence[str]) -> None:
    names = ", ".join(attributes)
    if count == MAX_GROUPS:
        raise PermanentError(
            f"the values of {names} make more than {MAX_GROUPS:,} groups: "
            "group by attributes with fewer values"
        )
    if characters > MAX_CHARACTERS:
        raise PermanentError(
            f"the values of {names} that make groups have more than {MAX_CHARACTERS:,} characters "
            "together: group by attributes with shorter values"
        )
