"""What an execution found, under its id: groups, members, points and pictures.

An execution writes them in steps, in transactions of its own, each row once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt
from bson.binary import Binary
from pymongo import ASCENDING, IndexModel
from pymongo.client_session import ClientSession
from pymongo.database import Database

from app.database import Document
from app.query.field import Field, FieldSet, Kind
from app.query.page import ListQuery, Page, list_page
from app.receipts.receipt import JsonObject

GROUPS: Final = "cluster_groups"
MEMBERS: Final = "cluster_members"
PARTS: Final = "cluster_parts"

MEMBER_FIELDS: Final = FieldSet(
    {
        "document_id": Field("document_id", sortable=True, nullable=False),
        "collection_id": Field("collection_id"),
        "label": Field("labels", Kind.NUMBER, nullable=False),
    },
)
_RUN: Final = ("run_id", ASCENDING)
_DOCUMENT: Final = ("document_id", ASCENDING)
GROUP_INDEXES: Final = [IndexModel([_RUN, ("label", ASCENDING)])]
MEMBER_INDEXES: Final = [
    IndexModel([_RUN, _DOCUMENT, ("_id", ASCENDING)]),
    IndexModel([_RUN, ("labels", ASCENDING), _DOCUMENT, ("_id", ASCENDING)]),
]
PART_INDEXES: Final = [IndexModel([_RUN, ("kind", ASCENDING), ("number", ASCENDING)])]

PART_ROWS: Final = 50_000  # about 2 MB of ids
STEP_ROWS: Final = 5_000  # members written in one transaction

Labels = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Representative:
    """A document that shows what its group is about."""

    document_id: str
    collection_id: str


@dataclass(frozen=True, slots=True)
class Group:
    """One group: `centroid` float32 of shape (dimension,), None where nothing was computed.

    `values` are the attributes' values; `parent` is the label of the group that it is part of.
    """

    label: int
    name: str
    size: int
    centroid: npt.NDArray[np.float32] | None
    representatives: tuple[Representative, ...]
    values: JsonObject | None = None
    parent: int | None = None
    level: int = 0


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which group each document is in: ids, labels of shape (n,), and places in `collections`."""

    document_ids: Sequence[str]
    labels: Labels
    collections: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Points:
    """Documents in the plane: `places` is float32 of shape (n, 2), `labels` of shape (n,)."""

    document_ids: Sequence[str]
    places: npt.NDArray[np.float32]
    labels: Labels


@dataclass(frozen=True, slots=True)
class Member:
    """One document; its labels are those of its group and of the groups around that, outermost
    first."""

    document_id: str
    collection_id: str
    labels: tuple[int, ...]

    def to_json(self) -> JsonObject:
        return {
            "document_id": self.document_id,
            "collection_id": self.collection_id,
            "label": self.labels[-1],
            "labels": list(self.labels),
        }


class FindingStore:
    """The collections `cluster_groups`, `cluster_members` and `cluster_parts`."""

    def __init__(self, database: Database[Document]) -> None:
        self._groups = database[GROUPS]
        self._members = database[MEMBERS]
        self._parts = database[PARTS]

    def ensure_indexes(self) -> None:
        """Makes the indexes; safe to repeat."""
        self._groups.create_indexes(GROUP_INDEXES)
        self._members.create_indexes(MEMBER_INDEXES)
        self._parts.create_indexes(PART_INDEXES)

    def write_groups(
        self, run_id: str, groups: Sequence[Group], session: ClientSession | None = None
    ) -> None:
        """Stores some of the run's groups."""
        rows = [_group_row(run_id, group) for group in groups]
        self._groups.insert_many(rows, session=session)

    def write_assignment(
        self,
        run_id: str,
        number: int,
        assignment: Assignment,
        session: ClientSession | None = None,
    ) -> None:
        """Stores a part of the run's assignment, `PART_ROWS` long unless it is the last."""
        columns = {
            "document_ids": _joined(assignment.document_ids),
            "labels": Binary(assignment.labels.astype("<i4").tobytes()),
            "collections": Binary(assignment.collections.astype(np.uint8).tobytes()),
        }
        self._write_part(run_id, "assignment", columns, number=number, session=session)

    def assignment(self, run_id: str, number: int) -> Assignment:
        """A part of the assignment, as it was stored."""
        row = self._parts.find_one({"_id": _part_id(run_id, "assignment", number)})
        assert row is not None
        return Assignment(
            document_ids=_parted(row["document_ids"]),
            labels=np.frombuffer(row["labels"], "<i4"),
            collections=np.frombuffer(row["collections"], np.uint8),
        )

    def write_points(
        self, run_id: str, points: Points, session: ClientSession | None = None
    ) -> None:
        """Stores where documents lie in the plane."""
        columns = {
            "document_ids": _joined(points.document_ids),
            "places": Binary(points.places.astype("<f4").tobytes()),
            "labels": Binary(points.labels.astype("<i4").tobytes()),
        }
        self._write_part(run_id, "points", columns, session=session)

    def points(self, run_id: str) -> Points | None:
        """Where documents lie in the plane; None where the run has no picture."""
        row = self._parts.find_one({"_id": _part_id(run_id, "points")})
        if row is None:
            return None
        return Points(
            document_ids=_parted(row["document_ids"]),
            places=np.frombuffer(row["places"], "<f4").reshape(-1, 2),
            labels=np.frombuffer(row["labels"], "<i4"),
        )

    def write_picture(
        self, run_id: str, kind: str, content: bytes, session: ClientSession | None = None
    ) -> None:
        """Stores the picture as `svg` or `png`."""
        self._write_part(run_id, kind, {"content": Binary(content)}, session=session)

    def picture(self, run_id: str, kind: str) -> bytes | None:
        """The picture, or None where there is none."""
        row = self._parts.find_one({"_id": _part_id(run_id, kind)})
        return None if row is None else bytes(row["content"])

    def write_members(
        self, run_id: str, members: Sequence[Member], session: ClientSession | None = None
    ) -> None:
        """Stores some of the run's members."""
        rows = [
            {
                "_id": f"{run_id}:{member.document_id}",
                "run_id": run_id,
                "document_id": member.document_id,
                "collection_id": member.collection_id,
                "labels": list(member.labels),
            }
            for member in members
        ]
        self._members.insert_many(rows, ordered=False, session=session)

    def members(self, run_id: str, query: ListQuery) -> Page[Member]:
        """A page of the run's members."""
        page = list_page(self._members, {"run_id": run_id}, query, MEMBER_FIELDS)
        return page.map(
            lambda row: Member(row["document_id"], row["collection_id"], tuple(row["labels"]))
        )

    def groups(self, run_id: str, *, limit: int = 0, centroids: bool = False) -> list[Group]:
        """The run's groups by label; without their centroids unless these are asked for."""
        projection = None if centroids else {"centroid": 0}
        found = self._groups.find({"run_id": run_id}, projection, limit=limit)
        return [_group(row) for row in found.sort("label", ASCENDING)]

    def is_empty(self, run_id: str) -> bool:
        """Whether nothing is stored of the run."""
        all_rows = (self._members, self._groups, self._parts)
        return not any(rows.find_one({"run_id": run_id}, {"_id": 1}) for rows in all_rows)

    def clear(self, run_id: str, limit: int, session: ClientSession | None = None) -> int:
        """Removes rows of the run, `limit` at most of each kind, and counts them."""
        removed = 0
        for rows in (self._members, self._groups, self._parts):
            found = rows.find({"run_id": run_id}, {"_id": 1}, limit=limit, session=session)
            if ids := [row["_id"] for row in found]:
                query = {"_id": {"$in": ids}}
                removed += rows.delete_many(query, session=session).deleted_count
        return removed

    def _write_part(
        self,
        run_id: str,
        kind: str,
        columns: Mapping[str, object],
        *,
        number: int = 0,
        session: ClientSession | None,
    ) -> None:
        row = {"_id": _part_id(run_id, kind, number), "run_id": run_id, "kind": kind}
        self._parts.insert_one({**row, "number": number, **columns}, session=session)


def members_of(
    assignment: Assignment, collection_ids: Sequence[str], paths: Mapping[int, tuple[int, ...]]
) -> Iterator[Member]:
    """A part's documents as members; `paths` has the labels around those that have any."""
    columns = zip(
        assignment.document_ids,
        assignment.labels.tolist(),
        assignment.collections.tolist(),
        strict=True,
    )
    for document_id, label, place in columns:
        yield Member(document_id, collection_ids[place], paths.get(label, (label,)))


def steps(members: Iterator[Member]) -> Iterator[list[Member]]:
    """The members by as many as one transaction writes."""
    while some := list(islice(members, STEP_ROWS)):
        yield some


def _group_row(run_id: str, group: Group) -> Document:
    centroid = group.centroid
    return {
        "_id": f"{run_id}:{group.label:06d}",
        "run_id": run_id,
        "label": group.label,
        "name": group.name,
        "size": group.size,
        "centroid": None if centroid is None else Binary(centroid.astype("<f4").tobytes()),
        "representatives": [[one.document_id, one.collection_id] for one in group.representatives],
        "values": None if group.values is None else [*map(list, group.values.items())],
        "parent": group.parent,
        "level": group.level,
    }


def _group(row: Document) -> Group:
    centroid, values = row.get("centroid"), row["values"]
    return Group(
        label=row["label"],
        name=row["name"],
        size=row["size"],
        centroid=None if centroid is None else np.frombuffer(centroid, "<f4"),
        representatives=tuple(Representative(*each) for each in row["representatives"]),
        values=None if values is None else dict(values),
        parent=row["parent"],
        level=row["level"],
    )


def _part_id(run_id: str, kind: str, number: int = 0) -> str:
    return f"{run_id}:{kind}:{number:05d}"


def _joined(document_ids: Sequence[str]) -> Binary:
    return Binary("\n".join(document_ids).encode())


def _parted(joined: bytes) -> list[str]:
    return joined.decode().split("\n") if joined else []
