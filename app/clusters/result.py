"""What an execution found, in numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Self

from app.receipts.receipt import JsonObject


@dataclass(frozen=True, slots=True)
class Layout:
    """How the points of the picture were laid out: the method, and what the two axes are."""

    method: str
    axes: Sequence[str]
    num_points: int


@dataclass(frozen=True, slots=True)
class Result:
    """Counts and scores. `source_documents` were selected, and sampled where that was asked for.

    `is_streamed`: the vectors were never in memory as a whole. `projection` is None where there
    is no picture.
    """

    num_clusters: int
    num_points: int
    noise_count: int
    source_documents: int
    metrics: JsonObject
    converged: bool | None = None
    iterations: int | None = None
    notes: Sequence[str] = ()
    is_streamed: bool = False
    projection: Layout | None = None

    @classmethod
    def from_document(cls, stored: Mapping[str, object]) -> Self:
        """What `to_json` made."""
        projection = stored["projection"]
        laid_out = Layout(**projection) if isinstance(projection, dict) else None
        fields: dict[str, object] = {**stored, "projection": laid_out}
        return cls(**fields)  # type: ignore[arg-type] # its own fields, stored by itself

    def to_json(self) -> JsonObject:
        fields = asdict(self)
        projection = self.projection
        return {
            **fields,
            "notes": list(self.notes),
            "projection": projection and {**asdict(projection), "axes": list(projection.axes)},
        }
