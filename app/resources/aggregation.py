"""Sums and counts over groups of documents, compiled to one bounded MongoDB pipeline."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from app.database import Document
from app.errors import InvalidError, Problem
from app.query.cursor import Direction
from app.query.field import FieldSet
from app.receipts.receipt import JsonObject, rfc3339

MAX_GROUPS: Final = 1_000
MAX_PARTS: Final = 20  # fields to group by, and as many metrics


class Function(StrEnum):
    """What can be computed over a group."""

    COUNT = "count"
    SUM = "sum"
    AVG = "avg"
    MIN = "min"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of each group; `field` is None for a count only."""

    function: Function
    field: str | None
    alias: str


@dataclass(frozen=True, slots=True)
class Key:
    """A field to group by, and its name in the answer."""

    field: str
    alias: str


@dataclass(frozen=True, slots=True)
class Group:
    """Documents with the same values, and what was computed over them."""

    values: JsonObject
    metrics: JsonObject

    def to_json(self) -> JsonObject:
        return {"group": self.values, "metrics": self.metrics}


@dataclass(frozen=True, slots=True)
class Aggregation:
    """What to compute. Without `keys` all documents are one group."""

    keys: Sequence[Key]
    metrics: Sequence[Metric]
    sort_by: str | None
    direction: Direction
    limit: int

    def stages(self, fields: FieldSet) -> list[Document]:
        """The pipeline after the filters; it yields `{"groups": [...], "total": [{"count"}]}`.

        Raises `InvalidError` for an unknown field, a name used twice or an order by neither.
        Positions stand for names, so that no name of a request is a key of the pipeline.
        """
        self._check_names()
        keys = {f"k{i}": _path(k.field, fields, ("group_by", i)) for i, k in enumerate(self.keys)}
        group: Document = {"_id": keys}
        for i, metric in enumerate(self.metrics):
            group[f"m{i}"] = _accumulator(metric, fields, ("aggregations", i))
        order = {self._place_of(self.sort_by): self.direction.sign} if self.sort_by else {}
        return [
            {"$group": group},
            {
                "$facet": {
                    "groups": [{"$sort": {**order, "_id": 1}}, {"$limit": self.limit}],
                    "total": [{"$count": "count"}],
                }
            },
        ]

    def group(self, row: Document) -> Group:
        """One group of the pipeline's answer, under the names of the request."""
        values = {key.alias: _shown(row["_id"].get(f"k{i}")) for i, key in enumerate(self.keys)}
        metrics = {m.alias: _shown(row[f"m{i}"]) for i, m in enumerate(self.metrics)}
        return Group(values, metrics)

    def _check_names(self) -> None:
        for place, aliases in (
            ("group_by", [key.alias for key in self.keys]),
            ("aggregations", [metric.alias for metric in self.metrics]),
        ):
            twice = sorted({alias for alias in aliases if aliases.count(alias) > 1})
            if twice:
                message = f"the name {twice[0][:100]!r} stands for two things: give them aliases"
                raise InvalidError.at("body", place, message=message)

    def _place_of(self, name: str) -> str:
        for i, metric in enumerate(self.metrics):
            if metric.alias == name:
                return f"m{i}"
        for i, key in enumerate(self.keys):
            if key.alias == name:
                return f"_id.k{i}"
        names = ", ".join([*(m.alias for m in self.metrics), *(k.alias for k in self.keys)])
        raise InvalidError.at("body", "sort_by", message=f"sort_by is one of {names}")


def _path(name: str, fields: FieldSet, place: tuple[str | int, ...]) -> str:
    return "$" + fields.find(name, ("body", *place, "field")).path


def _accumulator(metric: Metric, fields: FieldSet, place: tuple[str | int, ...]) -> Document:
    if metric.function is Function.COUNT and metric.field is None:
        return {"$sum": 1}
    if metric.field is None:
        message = f"{metric.function} needs a field"
        raise InvalidError([Problem(("body", *place, "field"), message, "missing")])
    path = _path(metric.field, fields, place)
    if metric.function is Function.COUNT:
        return {"$sum": {"$cond": [{"$gt": [path, None]}, 1, 0]}}  # null and missing sort first
    return {f"${metric.function}": path}


def _shown(value: object) -> object:
    return rfc3339(value) if isinstance(value, datetime) else value
