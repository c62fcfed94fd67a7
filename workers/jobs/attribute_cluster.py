"""An execution over attributes: documents with the same values, group within group."""

import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from app.clusters.definition import AttributeConfig
from app.clusters.finding import Assignment, Group, Representative
from app.clusters.reading import Selection
from app.clusters.result import Result
from app.errors import PermanentError
from app.json_value import JsonValue
from workers.clustering import grouping
from workers.clustering.memory import MIB, SETTING
from workers.jobs.vector_cluster import REPORTED_ROWS, Finding, Watcher

REPRESENTATIVES: Final = 5
LONGEST_NAME: Final = 200  # characters
BYTES_PER_DOCUMENT: Final = 300  # measured: ids in lists, in groups and beside their labels


class AttributeClustering:
    """Computes one execution."""

    def __init__(self, selection: Selection, config: AttributeConfig) -> None:
        self._selection = selection
        self._config = config
        self._ids: list[str] = []
        self._places = array("B")

    def find(self, limit_bytes: int, watcher: Watcher) -> Finding:
        """Raises `PermanentError` where there is nothing to group, no room for it, or over 10,000
        groups.
        """
        selected = self._selection.count()
        if selected == 0:
            raise PermanentError("The execution selects no documents: there is nothing to group")
        needed = selected * BYTES_PER_DOCUMENT
        if needed > limit_bytes:
            raise PermanentError(
                f"{selected:,} documents need about {needed // MIB + 1:,} MiB, and {SETTING} "
                f"allows {limit_bytes // MIB:,} MiB: filters, or a larger {SETTING}, would do"
            )
        watcher.stage("reading")
        found = grouping.group(
            self._rows(selected, watcher),
            self._config.attributes,
            hierarchical=self._config.hierarchical_grouping,
        )
        innermost = max(group.level for group in found)
        labels = dict[str, int]()
        for label, group in enumerate(found):
            if group.level == innermost:
                labels |= dict.fromkeys(group.document_ids, label)
        assignment = Assignment(
            self._ids,
            np.array([labels[document_id] for document_id in self._ids], np.int32),
            np.array(self._places, np.uint8),
        )
        return Finding(
            assignment=assignment,
            groups=list(self._groups(found)),
            points=None,
            picture=None,
            result=_result(len(self._ids), sum(group.level == innermost for group in found)),
        )

    def _rows(self, count: int, watcher: Watcher) -> Iterator[tuple[str, Sequence[JsonValue]]]:
        rows = self._selection.values(self._config.attributes)
        for read, (document_id, place, values) in enumerate(rows, start=1):
            self._ids.append(document_id)
            self._places.append(place)
            if read % REPORTED_ROWS == 0:
                watcher.rows(read, count)
            yield document_id, values

    def _groups(self, found: Sequence[grouping.Group]) -> Iterator[Group]:
        shown = {one for group in found for one in group.document_ids[:REPRESENTATIVES]}
        collections = {
            document_id: self._selection.collection_ids[place]
            for document_id, place in zip(self._ids, self._places, strict=True)
            if document_id in shown
        }
        for label, group in enumerate(found):
            yield Group(
                label=label,
                name=_name(group.values),
                size=len(group.document_ids),
                centroid=None,
                representatives=tuple(
                    Representative(document_id, collections[document_id])
                    for document_id in group.document_ids[:REPRESENTATIVES]
                ),
                values=dict(group.values),
                parent=group.parent,
                level=group.level,
            )


def paths(groups: Sequence[Group]) -> Mapping[int, tuple[int, ...]]:
    """The labels from the outermost group to each one, for those that lie in another."""
    found: dict[int, tuple[int, ...]] = {}
    for group in groups:
        if group.parent is not None:
            found[group.label] = (*found.get(group.parent, (group.parent,)), group.label)
    return found


def _name(values: Mapping[str, JsonValue]) -> str:
    shown = (
        "(none)" if value is None else value if isinstance(value, str) else json.dumps(value)
        for value in values.values()
    )
    return " / ".join(shown)[:LONGEST_NAME]


def _result(points: int, clusters: int) -> Result:
    return Result(
        num_clusters=clusters,
        num_points=points,
        noise_count=0,
        source_documents=points,
        metrics={"avg_cluster_size": points / clusters, "noise_ratio": 0.0},
    )
