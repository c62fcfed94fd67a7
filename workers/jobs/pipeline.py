"""Stored objects through the extractors of several collections: documents, or reasons why not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.database import Document
from app.errors import PermanentError
from app.resources.content import ContentReader, decode_file
from app.resources.extraction import FailedDocument, NewDocument
from app.resources.extractor import Extractor, Failure
from app.resources.property import PropertyType
from app.resources.schema import BucketSchema, violations

SCHEMA_VIOLATION: Final = "schema_violation"
UNREADABLE: Final = "unreadable"


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


@dataclass(frozen=True, slots=True)
class LoadedObject:
    """A valid object with the content that stages read; `unreadable` has reasons by property."""

    object_id: str
    fields: Mapping[str, object]
    metadata: Mapping[str, object]
    values: Mapping[str, object]
    unreadable: Mapping[str, str]

    @property
    def size_bytes(self) -> int:
        """What its contents take up, roughly."""
        return sum(len(value) for value in self.values.values() if isinstance(value, str | bytes))


class Pipeline:
    """Validates, loads and extracts. It keeps nothing between calls."""

    def __init__(
        self, schema: BucketSchema, stages: Sequence[Stage], reader: ContentReader
    ) -> None:
        self._schema = schema
        self._stages = stages
        self._reader = reader
        self._read = {source for stage in stages for source in stage.sources.values()}

    def load(self, stored: Document) -> LoadedObject | FailedDocument:
        """The object with its content, or the failure of one that its bucket's schema refuses.

        Raises `TransientError` when a file cannot be read for the moment.
        """
        object_id, fields = str(stored["_id"]), stored["fields"]
        problems = violations(self._schema, fields, [_as_sent(blob) for blob in stored["blobs"]])
        if problems:
            reason = "; ".join(problem.message for problem in problems)
            return FailedDocument(object_id, None, SCHEMA_VIOLATION, reason)
        values = {name: value for name, value in fields.items() if name in self._read}
        unreadable: dict[str, str] = {}
        for blob in stored["blobs"]:
            name = blob["property"]
            if name in self._read:
                try:
                    values[name] = self._content(blob)
                except PermanentError as exc:
                    unreadable[name] = str(exc)
        return LoadedObject(object_id, fields, stored["metadata"], values, unreadable)

    def run(self, objects: Sequence[LoadedObject]) -> Outcome:
        """Every object through every stage."""
        outcome = Outcome(object_ids=[one.object_id for one in objects])
        for stage in self._stages:
            readable = []
            for one in objects:
                reasons = [one.unreadable[p] for p in stage.sources.values() if p in one.unreadable]
                if reasons:
                    outcome.failures.append(
                        FailedDocument(one.object_id, stage.collection_id, UNREADABLE, reasons[0])
                    )
                else:
                    readable.append(one)
            for made in _extract(stage, readable):
                if isinstance(made, NewDocument):
                    outcome.documents.append(made)
                else:
                    outcome.failures.append(made)
        return outcome

    def _content(self, blob: Document) -> object:
        if blob.get("url") is None:
            return blob["data"]
        return decode_file(PropertyType(blob["type"]), self._reader.read(blob["url"]))


def _as_sent(blob: Document) -> Document:
    """The blob as a request brings it: an image was decoded to bytes when it was stored."""
    return {**blob, "data": ""} if isinstance(blob.get("data"), bytes) else blob


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
