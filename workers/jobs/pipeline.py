"""Stored objects through the extractors of several collections: documents, or reasons why not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from app.resources.extraction import FailedDocument, NewDocument
from app.resources.extractor import Extractor, Failure
from workers.jobs.loading import Loaded, LoadedObject


@dataclass(frozen=True, slots=True)
class Stage:
    """One collection's extractor; `sources` names the property that each input is read from."""

    collection_id: str
    extractor: Extractor
    sources: Mapping[str, str]


@dataclass(slots=True)
class Outcome:
    """What became of some objects."""

    object_ids: list[str] = field(default_factory=list)
    documents: list[NewDocument] = field(default_factory=list)
    failures: list[FailedDocument] = field(default_factory=list)

    @property
    def failed_objects(self) -> int:
        """Objects that at least one collection could not take."""
        return len({failure.object_id for failure in self.failures})


class Pipeline:
    """Extracts. It keeps nothing between calls."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = stages

    @property
    def properties(self) -> frozenset[str]:
        """The names of the properties that the stages read."""
        return frozenset(source for stage in self._stages for source in stage.sources.values())

    def run(self, slice_: Sequence[Loaded]) -> Outcome:
        """Every object through every stage; one that could not be loaded has failed."""
        objects = [one for one in slice_ if isinstance(one, LoadedObject)]
        outcome = Outcome(
            object_ids=[one.object_id for one in slice_],
            failures=[one for one in slice_ if isinstance(one, FailedDocument)],
        )
        for stage in self._stages:
            readable = []
            for one in objects:
                lacks = [one.lacks[name] for name in stage.sources.values() if name in one.lacks]
                if lacks:
                    outcome.failures.append(
                        FailedDocument(
                            one.object_id, stage.collection_id, lacks[0].error_type, lacks[0].reason
                        )
                    )
                else:
                    readable.append(one)
            for made in _extract(stage, readable):
                if isinstance(made, NewDocument):
                    outcome.documents.append(made)
                else:
                    outcome.failures.append(made)
        return outcome


def _extract(
    stage: Stage, objects: Sequence[LoadedObject]
) -> Iterator[NewDocument | FailedDocument]:
    items = [
        {name: one.values[source] for name, source in stage.sources.items() if source in one.values}
        for one in objects
    ]
    feature = stage.extractor.feature.name
    for one, made in zip(objects, stage.extractor.extract(items), strict=True):
        if isinstance(made, Failure):
            yield FailedDocument(one.object_id, stage.collection_id, made.error_type, made.reason)
        else:
            yield NewDocument(
                stage.collection_id, one.object_id, feature, made, one.fields, one.metadata
            )
