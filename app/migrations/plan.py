"""What a run of a migration has to do, fixed when it begins; pure values."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from app.database import Document
from app.migrations.digest import EMPTY
from app.migrations.resource import Resource, ResourceType
from app.migrations.stage import Stage, StageProgress, Stages, planned
from app.receipts.receipt import JsonObject


class TrackKind(StrEnum):
    """Rows that move in a stream: those of one bucket, or of one collection."""

    OBJECTS = "objects"
    DOCUMENTS = "documents"


STAGES: Mapping[TrackKind, Stage] = {
    TrackKind.OBJECTS: Stage.BATCH_CREATION,
    TrackKind.DOCUMENTS: Stage.BATCH_PROCESSING,
}


@dataclass(frozen=True, slots=True)
class Track:
    """The rows of one bucket or collection, and how far they are.

    `rows` is what there was when the run began. `compared` and the hashes are those of the latest
    round of comparison: over the rows of either side, in the order of the source's ids.
    """

    kind: TrackKind
    source_id: str
    target_id: str
    name: str
    rows: int
    written: int = 0
    compared: int = 0
    source_hash: str = EMPTY
    target_hash: str = EMPTY

    @classmethod
    def from_document(cls, stored: Document) -> Self:
        return cls(**{**stored, "kind": TrackKind(stored["kind"])})

    def to_document(self) -> Document:
        return {**asdict(self), "kind": self.kind.value}

    @property
    def stage(self) -> Stage:
        """The stage that moves these rows first."""
        return STAGES[self.kind]

    def anew(self) -> "Track":
        """Before another round of comparison."""
        return replace(self, compared=0, source_hash=EMPTY, target_hash=EMPTY)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a run stands: after the row `last_id` of a track, in a round that began `began_at`.

    Round 0 writes every row; each later one compares both sides, and writes what differs.
    `carried` counts the rows that the round wrote or took away, `carried_over` those of all rounds
    of comparison before it. A round that an attempt found half done is `broken`: who knows what
    happened to the source in between, so it does not count as the last one.
    """

    round: int = 0
    track: int = 0
    last_id: str = ""
    carried: int = 0
    carried_over: int = 0
    began_at: datetime | None = None
    broken: bool = False

    def to_document(self) -> Document:
        return asdict(self)

    def checkpoint(self) -> JsonObject:
        """The same, as the receipt shows it."""
        return {"round": self.round, "track": self.track, "last_id": self.last_id}

    def next_track(self) -> "Position":
        return replace(self, track=self.track + 1, last_id="")

    def next_round(self, at: datetime) -> "Position":
        found = self.carried if self.round else 0
        return Position(round=self.round + 1, carried_over=self.carried_over + found, began_at=at)


@dataclass(frozen=True, slots=True)
class Plan:
    """The resources that go along, the tracks of their rows, and the stages so far."""

    resources: Sequence[Resource]
    tracks: tuple[Track, ...]
    stages: Stages
    position: Position = field(default_factory=Position)

    @classmethod
    def of(
        cls, resources: Sequence[Resource], tracks: Sequence[Track], totals: Mapping[Stage, int]
    ) -> Self:
        """Before anything is done; a comparison of all that is written follows in any case."""
        rows = sum(track.rows for track in tracks)
        counted = {Stage.NAMESPACE_SETUP: 1, Stage.FINALIZATION: rows, **totals}
        for track in tracks:
            counted[track.stage] = counted.get(track.stage, 0) + track.rows
        return cls(resources, tuple(tracks), planned(counted))

    @classmethod
    def from_document(cls, stored: Document) -> Self:
        """What `to_document` made."""
        return cls(
            [
                Resource(
                    **{
                        **each,
                        "resource_type": ResourceType(each["resource_type"]),
                        "dependencies": tuple(each["dependencies"]),
                    }
                )
                for each in stored["resources"]
            ],
            tuple(Track.from_document(each) for each in stored["tracks"]),
            tuple(StageProgress.from_document(each) for each in stored["stages"]),
            Position(**stored["position"]),
        )

    def to_document(self) -> Document:
        """As the migration's row keeps it."""
        return {
            "resources": [each.to_json() for each in self.resources],
            "tracks": [each.to_document() for each in self.tracks],
            "stages": [each.to_document() for each in self.stages],
            "position": self.position.to_document(),
        }

    @property
    def ids(self) -> list[str]:
        """The ids, in the source, of all that goes along."""
        return [each.resource_id for each in self.resources]

    @property
    def done(self) -> int:
        """Items of all stages that are done."""
        return sum(each.items_completed for each in self.stages)

    @property
    def total(self) -> int:
        return sum(max(each.items_total, each.items_completed) for each in self.stages)

    @property
    def failed(self) -> int:
        return sum(each.items_failed for each in self.stages)

    def at(self, position: Position) -> "Plan":
        return replace(self, position=position)

    def with_track(self, track: Track) -> "Plan":
        """After a step of the track that is at work."""
        at = self.position.track
        return replace(self, tracks=(*self.tracks[:at], track, *self.tracks[at + 1 :]))
