"""Objects that are copied and go through their collections' extractors anew, in one step."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from app.database import Document
from app.migrations.document_map import DocumentMap
from app.migrations.effect import together
from app.migrations.migration import Migration
from app.migrations.plan import Track
from app.migrations.transfer import TransferStore
from app.receipts.write import Effect
from app.resources.extraction import ExtractionStore, Origin
from workers.attempt import Attempt
from workers.jobs.loading import Loader
from workers.jobs.pipeline import Outcome, Pipeline, Stage
from workers.migration.copying import Copying
from workers.migration.step import Step

LoaderOf = Callable[[Track, Pipeline], Loader]


@dataclass(frozen=True, slots=True)
class Machinery:
    """What documents are made with: `stages` by the source's bucket ids, a loader for a bucket."""

    extractions: ExtractionStore
    stages: Mapping[str, Sequence[Stage]]
    loader: LoaderOf


class Extracting(Copying):
    """Copies objects, and makes documents of them."""

    def __init__(
        self,
        transfer: TransferStore,
        migration: Migration,
        attempt: Attempt,
        documents: DocumentMap,
        machinery: Machinery,
    ) -> None:
        super().__init__(transfer, migration, attempt, documents)
        self._extractions = machinery.extractions
        self._stages = machinery.stages
        self._loader = machinery.loader

    def steps(self, track: Track, rows: Sequence[Document]) -> Iterator[Step]:
        stages = self._stages.get(track.source_id)
        if not stages or not rows:
            yield from super().steps(track, rows)
            return
        copies = self.expected(track, rows)
        page = [(copy["_id"], copy) for copy in copies]
        pipeline = Pipeline(stages)
        begin = 0
        with closing(self._loader(track, pipeline).slices([page])) as slices:
            for loaded in slices:
                outcome, end = pipeline.run(loaded), begin + len(loaded)
                yield Step(
                    rows[begin:end],
                    self._write(track, copies[begin:end], outcome),
                    made=len(loaded) * len(stages),
                    failed=_lost_pairs(outcome, len(stages)),
                )
                begin = end

    def incomplete(self, track: Track, target_ids: Sequence[str]) -> set[str]:
        run_id = self._migration.migration_id
        return self._transfer.unmade(self._made_by(track), target_ids, run_id)

    def removal(self, track: Track, target_ids: Sequence[str]) -> Effect:
        made_by, run_id = self._made_by(track), self._migration.migration_id
        return together(
            super().removal(track, target_ids),
            partial(self._transfer.delete_made, made_by, target_ids),
            partial(self._transfer.delete_failures, run_id, target_ids),
        )

    def _write(self, track: Track, copies: Sequence[Document], outcome: Outcome) -> Effect:
        """An object that fails now may have become a document before."""
        failed = sorted({each.object_id for each in outcome.failures})
        return together(
            partial(self._transfer.write, track, copies),
            partial(self._transfer.delete_made, self._made_by(track) if failed else (), failed),
            partial(
                self._extractions.write,
                self._origin(track),
                outcome.object_ids,
                outcome.documents,
                outcome.failures,
            ),
        )

    def _made_by(self, track: Track) -> list[str]:
        return [each.collection_id for each in self._stages.get(track.source_id, ())]

    def _origin(self, track: Track) -> Origin:
        migration, attempt = self._migration, self._attempt
        return Origin(
            migration.target_id,
            track.target_id,
            migration.migration_id,
            attempt.task_id,
            attempt.number,
        )


def _lost_pairs(outcome: Outcome, stages: int) -> int:
    """Pairs of object and collection; an object that could not be loaded has failed for all."""
    return sum(stages if each.collection_id is None else 1 for each in outcome.failures)
