"""What a document is assigned: nodes with their paths, scores and fields; values only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.database import Document
from app.taxonomies.config import Enrichment, MergeMode


@dataclass(frozen=True, slots=True)
class Node:
    """A node that is like a document: its label, its key for the level below, its own values."""

    node_id: str
    collection_id: str
    label: str
    key: object
    values: Mapping[Enrichment, object]


@dataclass(frozen=True, slots=True)
class Step:
    """One node on the way down, and how like the document it is."""

    node: Node
    score: float


@dataclass(frozen=True, slots=True)
class Assignment:
    """The deepest node of one descent; `path` is the way to it, the root first."""

    path: tuple[Step, ...]

    @property
    def last(self) -> Step:
        return self.path[-1]

    @property
    def fields(self) -> dict[str, object]:
        """What the nodes of the path bring: the deeper goes before the higher."""
        return {
            each.target_field: value
            for step in self.path
            for each, value in step.node.values.items()
        }

    def to_document(self) -> Document:
        return {
            "node_id": self.last.node.node_id,
            "collection_id": self.last.node.collection_id,
            "label": self.last.node.label,
            "score": self.last.score,
            "level": len(self.path) - 1,
            "path": [
                {"node_id": step.node.node_id, "label": step.node.label, "score": step.score}
                for step in self.path
            ],
            "fields": self.fields,
        }


def merged_fields(assignments: Sequence[Assignment]) -> dict[str, object]:
    """What a document gets of its assignments, the best first: of each field that replaces, the
    best one's value, of each that some node appends, a list of all."""
    merged: dict[str, object] = {}
    appended = set().union(*map(_appended, assignments))
    for assignment in assignments:
        for name, value in assignment.fields.items():
            if name in appended:
                held = merged.setdefault(name, [])
                assert isinstance(held, list)
                held.append(value)
            else:
                merged.setdefault(name, value)
    return merged


def _appended(assignment: Assignment) -> set[str]:
    return {
        each.target_field
        for step in assignment.path
        for each in step.node.values
        if each.merge_mode is MergeMode.APPEND
    }
