"""The stages of a migration and how far each is; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from app.database import Document


class Stage(StrEnum):
    """The public client's words; what each is here stands in docs/migrations.md."""

    NAMESPACE_SETUP = "namespace_setup"
    BATCH_CREATION = "batch_creation"
    BATCH_PROCESSING = "batch_processing"
    CLUSTER_EXECUTION = "cluster_execution"
    TAXONOMY_ENRICHMENT = "taxonomy_enrichment"
    FINALIZATION = "finalization"


@dataclass(frozen=True, slots=True)
class StageProgress:
    """One stage; it has ended once `completed_at` is set."""

    stage: Stage
    items_total: int = 0
    items_completed: int = 0
    items_failed: int = 0
    started_at: datetime | None = None
    completed_at: datetime | None = None

    @classmethod
    def from_document(cls, stored: Document) -> Self:
        return cls(**{**stored, "stage": Stage(stored["stage"])})

    def to_document(self) -> Document:
        return {**asdict(self), "stage": self.stage.value}

    @property
    def percent(self) -> float:
        """0–100."""
        if self.completed_at is not None:
            return 100.0
        return (
            round(100.0 * self.items_completed / self.items_total, 2) if self.items_total else 0.0
        )


Stages = tuple[StageProgress, ...]


def planned(totals: Mapping[Stage, int]) -> Stages:
    """The stages before anything is done."""
    return tuple(StageProgress(stage, items_total=totals.get(stage, 0)) for stage in Stage)


def advanced(
    stages: Sequence[StageProgress],
    stage: Stage,
    at: datetime,
    *,
    completed: int = 0,
    failed: int = 0,
    more: int = 0,
) -> Stages:
    """After `completed` more items of a stage, of which `failed` failed; `more` were planned.

    A stage that turns out to have more items than were planned has a larger total.
    """

    def after(one: StageProgress) -> StageProgress:
        done = one.items_completed + completed
        return replace(
            one,
            items_completed=done,
            items_total=max(done, one.items_total + more),
            items_failed=one.items_failed + failed,
            started_at=one.started_at or at,
        )

    return tuple(after(each) if each.stage is stage else each for each in stages)


def closed(stages: Sequence[StageProgress], before: Stage, at: datetime) -> Stages:
    """With the ends of all stages that come before this one."""
    order = list(Stage)
    return tuple(
        ended(each, at) if order.index(each.stage) < order.index(before) else each
        for each in stages
    )


def ended(stage: StageProgress, at: datetime) -> StageProgress:
    """The stage with its end; one that had ended before stays as it is."""
    if stage.completed_at is not None:
        return stage
    return replace(
        stage,
        items_total=stage.items_completed,
        started_at=stage.started_at or at,
        completed_at=at,
    )


def current(stages: Sequence[StageProgress]) -> Stage | None:
    """The stage that is at work: the last one begun that has not ended."""
    begun = [each.stage for each in stages if each.started_at and each.completed_at is None]
    return begun[-1] if begun else None
