"""One execution of a cluster: documents are read and grouped, and the groups stored.

What an execution found is stored under its id before its members are written, so that an attempt
that begins later goes on with those and computes nothing again. A fit looks at nothing until it is
done; between its stages, and at each step of what is stored, the task can be left.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Final, Self

from app.clusters.cluster import ClusterStore
from app.clusters.execution import show_result
from app.clusters.finding import (
    PART_ROWS,
    Assignment,
    FindingStore,
    Group,
    members_of,
    steps,
)
from app.clusters.reading import Selection
from app.clusters.result import Result
from app.clusters.run import RunStore
from app.clusters.source import find_source
from app.database import Document
from app.receipts.receipt import JsonObject
from app.receipts.write import Effect
from app.resources.collection import CollectionStore
from app.resources.extractor import Limits
from workers import process
from workers.attempt import Attempt, Completion
from workers.jobs.attribute_cluster import AttributeClustering, paths
from workers.jobs.vector_cluster import Finding, VectorClustering, Watcher

MIB: Final = 1024 * 1024
GROUPS_PER_STEP: Final = 200
CLEARED_ROWS: Final = 5_000


def carry_out(worker: process.WorkerProcess, attempt: Attempt) -> Completion:
    """One attempt, from where an earlier one left it."""
    execution = Execution(worker, attempt)
    if isinstance(attempt.checkpoint, dict):
        made = Made.from_json(attempt.checkpoint)
    else:
        made = execution.store(execution.find(worker.settings.cluster_memory_mib * MIB))
    return execution.finish(made)


@dataclass(frozen=True, slots=True)
class Made:
    """The checkpoint: how many members are written, of how many, and what the run found."""

    written: int
    members: int
    result: Result

    @classmethod
    def from_json(cls, stored: Document) -> Self:
        """What `to_json` made."""
        result = Result.from_document(stored["result"])
        return cls(stored["written"], stored["members"], result)

    def to_json(self) -> JsonObject:
        return {"written": self.written, "members": self.members, "result": self.result.to_json()}


class Execution:
    """One attempt at one run of a cluster."""

    def __init__(self, worker: process.WorkerProcess, attempt: Attempt) -> None:
        cluster_id, run_id = (str(value) for value in attempt.inputs)
        self._worker = worker
        self._attempt = attempt
        self._clusters = ClusterStore(worker.database)
        self._findings = FindingStore(worker.database)
        self._runs = RunStore(worker.database, worker.ledger.receipts)
        scope = attempt.namespace_id
        self._cluster = self._clusters.get(cluster_id, namespace_id=scope)
        self._run = self._runs.get(run_id, namespace_id=scope, cluster_id=cluster_id)
        self._read = self._total = 0

    def find(self, limit_bytes: int) -> Finding:
        """What there is to be found, in the documents as they are now."""
        definition = self._run.definition
        selection = Selection(
            self._worker.database,
            namespace_id=self._run.namespace_id,
            collection_ids=definition.collection_ids,
            filters=definition.filters,
        )
        watcher = Watcher(self._stage, self._rows)
        if definition.attribute is not None:
            return AttributeClustering(selection, definition.attribute).find(limit_bytes, watcher)
        assert definition.vector is not None
        settings = self._worker.settings
        limits = Limits(max_image_pixels=settings.max_image_pixels, file_roots=settings.file_roots)
        collections = CollectionStore(self._worker.database)
        found = [
            collections.get(one, namespace_id=self._run.namespace_id)
            for one in definition.collection_ids
        ]
        source = find_source(found, definition.vector.features, limits)
        title = f"{self._cluster.cluster_name} ({definition.vector.method})"
        clustering = VectorClustering(selection, source, definition.vector, title=title)
        return clustering.find(limit_bytes, watcher)

    def store(self, finding: Finding) -> Made:
        """Stores all but the members, in place of what an earlier attempt may have left, and
        returns the checkpoint."""
        self._stage("storing")
        self._read = self._total = len(finding.assignment.document_ids)
        self._clear()
        run_id = self._run.run_id
        for groups in _chunks(finding.groups):
            self._commit(partial(self._findings.write_groups, run_id, groups))
        for number, part in enumerate(_parts(finding.assignment)):
            self._commit(partial(self._findings.write_assignment, run_id, number, part))
        if finding.points is not None:
            self._commit(partial(self._findings.write_points, run_id, finding.points))
        for kind, content in _pictures(finding).items():
            self._commit(partial(self._findings.write_picture, run_id, kind, content))
        made = Made(0, self._total, finding.result)
        self._attempt.commit(
            partial(self._runs.note_stage, run_id, "writing"),
            self._total,
            2 * self._total,
            checkpoint=made.to_json(),
        )
        return made

    def finish(self, made: Made) -> Completion:
        """Writes the members that are not written yet; the run is shown with the task's end."""
        around = paths(self._findings.groups(self._run.run_id))
        while made.written < made.members:
            made = self._write_part(made, around)
        result = made.result
        outputs = {
            "cluster_id": self._run.cluster_id,
            "run_id": self._run.run_id,
            "num_clusters": result.num_clusters,
            "num_points": result.num_points,
            "noise_count": result.noise_count,
            "metrics": result.metrics,
        }
        show = partial(show_result, self._clusters, self._runs, self._run, result)
        return Completion(outputs, show)

    def _write_part(self, made: Made, around: Mapping[int, tuple[int, ...]]) -> Made:
        """Writes the rest of the part that is begun, and returns the checkpoint after it."""
        number, first = divmod(made.written, PART_ROWS)
        run_id = self._run.run_id
        part = self._findings.assignment(run_id, number)
        rest = members_of(part, self._run.definition.collection_ids, around)
        for some in steps(islice(rest, first, None)):
            made = replace(made, written=made.written + len(some))
            self._attempt.commit(
                partial(self._findings.write_members, run_id, some),
                made.members + made.written,
                2 * made.members,
                checkpoint=made.to_json(),
            )
        return made

    def _stage(self, stage: str) -> None:
        self._attempt.raise_if_aborted()
        self._commit(partial(self._runs.note_stage, self._run.run_id, stage))

    def _rows(self, read: int, count: int) -> None:
        self._attempt.raise_if_aborted()
        self._read, self._total = max(read, self._read), count
        self._attempt.progress(self._read, 2 * count)

    def _commit(self, effect: Effect) -> None:
        self._attempt.commit(effect, self._read, 2 * self._total or None)

    def _clear(self) -> None:
        while not self._findings.is_empty(self._run.run_id):
            self._commit(partial(self._findings.clear, self._run.run_id, CLEARED_ROWS))


def _chunks(groups: Sequence[Group]) -> Iterator[Sequence[Group]]:
    for start in range(0, len(groups), GROUPS_PER_STEP):
        yield groups[start : start + GROUPS_PER_STEP]


def _parts(assignment: Assignment) -> Iterator[Assignment]:
    for start in range(0, len(assignment.document_ids), PART_ROWS):
        part = slice(start, start + PART_ROWS)
        yield Assignment(
            assignment.document_ids[part], assignment.labels[part], assignment.collections[part]
        )


def _pictures(finding: Finding) -> Mapping[str, bytes]:
    picture = finding.picture
    return {} if picture is None else {"svg": picture.svg.encode(), "png": picture.png}
