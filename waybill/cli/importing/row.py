"""From a row of a table to an object of the bucket; pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from waybill.cli.command_error import CommandError
from waybill.cli.importing.position import EntryError, JsonObject
from waybill.cli.importing.rule import Schema

KEY_PREFIX: Final = "key_prefix"
METADATA: Final = "metadata."

Convert: TypeAlias = Callable[[str | None, object], object]


@dataclass(frozen=True, slots=True)
class RowMapper:
    """Gives each column its place in an object.

    `places` says where a column goes that isn't named like its property: a property's name,
    `key_prefix`, `metadata.NAME`, or nowhere (empty).
    """

    schema: Schema
    places: Mapping[str, str] = field(default_factory=dict)

    def check(self, columns: Sequence[str], *, mapped_only: bool = False) -> None:
        """Raises `CommandError` where a column has no place, or none of that name is there.

        With `mapped_only` a column without a word about it is left out.
        """
        if twice := sorted({name for name in columns if columns.count(name) > 1}):
            raise CommandError(
                f"The column '{twice[0]}' is there twice: give each a name of its own."
            )
        if absent := [name for name in self.places if name not in columns]:
            known = ", ".join(columns)
            raise CommandError(
                f"--map names the column '{absent[0]}', which is not there: {known}."
            )
        for column in self.places if mapped_only else columns:
            self._check_place(column, self.places.get(column, column))

    def object_of(self, row: Iterable[tuple[str, object]], convert: Convert) -> JsonObject:
        """The object of a row, without what it says nothing about. Raises `EntryError`."""
        made: JsonObject = {}
        metadata: JsonObject = {}
        blobs: list[JsonObject] = []
        for column, cell in row:
            place = self.places.get(column, column)
            type_ = self.schema.type_of(place)
            value = None if place == "" else _converted(column, type_, cell, convert)
            if value is None:
                continue
            if place.startswith(METADATA):
                metadata[place.removeprefix(METADATA)] = value
            elif type_ == "image":
                blobs.append({"property": place, "type": "image", "data": value})
            else:
                made[place] = value
        if blobs:
            made["blobs"] = blobs
        if metadata:
            made["metadata"] = metadata
        return made

    def _check_place(self, column: str, place: str) -> None:
        if place in ("", KEY_PREFIX) or place.startswith(METADATA) or self.schema.is_open:
            return
        if place not in self.schema.rules:
            raise CommandError(
                f"The column '{column}' is no property of the bucket, which has "
                f"{self.schema.named()}: say --map {column}=PROPERTY, or --map {column}= to leave "
                "it out."
            )


def read_places(pairs: Sequence[str]) -> dict[str, str]:
    """The places that `column=property` pairs say; raises `CommandError` for another form."""
    places: dict[str, str] = {}
    for pair in pairs:
        column, sign, place = pair.partition("=")
        if not sign or not column:
            raise CommandError(f"--map reads COLUMN=PROPERTY, not '{pair}'.")
        places[column] = place
    return places


def _converted(column: str, type_: str | None, cell: object, convert: Convert) -> object:
    try:
        return convert(type_, cell)
    except EntryError as exc:
        raise EntryError(f"'{column}' {exc}") from exc
