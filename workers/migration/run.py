"""A migration's way through its tracks, round after round, until both sides are the same.

Round 0 writes every row. Each later round compares both sides row by row, and carries over what
was written, changed or deleted in the source meanwhile. The first that finds nothing to carry over
is the verification: it has read all content of both sides, and found them equal.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final

from app.database import Document
from app.errors import PermanentError
from app.migrations.digest import chained, content_digest
from app.migrations.effect import together
from app.migrations.migration import Migration
from app.migrations.opening import Opening
from app.migrations.plan import Plan, Track
from app.migrations.resource import Resource, ResourceType
from app.migrations.stage import Stage, Stages, advanced, closed
from app.migrations.store import MigrationStore
from app.migrations.transfer import TransferStore
from app.receipts.draft import this_moment
from app.receipts.write import Effect
from workers.attempt import Attempt
from workers.migration.step import Writer

# Writers that never rest are not waited for: each round takes in what came during the last.
MAX_ROUNDS: Final = 10
DEFINITIONS: Final = {
    Stage.CLUSTER_EXECUTION: ResourceType.CLUSTER,
    Stage.TAXONOMY_ENRICHMENT: ResourceType.TAXONOMY,
}


class Run:
    """One attempt's part of it. What is done is kept in the migration's row, step by step."""

    def __init__(
        self,
        attempt: Attempt,
        migration: Migration,
        plan: Plan,
        writer: Writer,
        *,
        stores: tuple[MigrationStore, TransferStore, Opening],
    ) -> None:
        self._attempt = attempt
        self._migration = migration
        self._rounds = 0
        self.plan = plan.at(replace(plan.position, broken=plan.position.round > 0))
        self._writer = writer
        self._migrations, self._transfer, self._opening = stores

    def carry_all(self) -> Plan:
        """The plan once both sides are equal.

        Raises `PermanentError` where the source loses what migrates, or never comes to rest.
        """
        while not self._is_done():
            position = self.plan.position
            if position.track < len(self.plan.tracks):
                self._page(self.plan.tracks[position.track])
            else:
                self._next_round()
        return self.plan

    def _is_done(self) -> bool:
        position = self.plan.position
        ended = position.round > 0 and position.track >= len(self.plan.tracks)
        return ended and position.carried == 0 and not position.broken

    def _page(self, track: Track) -> None:
        position = self.plan.position
        if not position.last_id:
            self._require_source(track)
        rows = self._transfer.page(track, position.last_id, self._migration.config.step_rows)
        if not rows:
            self._end_track(track)
        elif position.round == 0:
            self._write_all(track, rows)
        else:
            self._compare(track, rows)

    def _write_all(self, track: Track, rows: Sequence[Document]) -> None:
        self._make_room(track, rows)
        for step in self._writer.steps(track, rows):
            self._attempt.raise_if_aborted()
            at = this_moment()
            stages = advanced(self.plan.stages, track.stage, at, completed=len(step.rows))
            if step.made:
                stages = advanced(
                    stages, Stage.BATCH_PROCESSING, at, completed=step.made, failed=step.failed
                )
            track = replace(track, written=track.written + len(step.rows))
            position = replace(self.plan.position, last_id=step.rows[-1]["_id"])
            plan = replace(self.plan, stages=stages).with_track(track)
            self._take(plan.at(position), step.write)

    def _compare(self, track: Track, rows: Sequence[Document]) -> None:
        """Both sides of a page; what differs is written before the page counts as compared."""
        expected = self._writer.expected(track, rows)
        ids = [row["_id"] for row in expected]
        found = self._transfer.counterparts(track, ids)
        incomplete = self._writer.incomplete(track, [key for key in ids if key in found])
        ours = [content_digest(row) for row in expected]
        theirs = [content_digest(found[key]) if key in found else None for key in ids]
        different = [
            row
            for row, key, one, other in zip(rows, ids, ours, theirs, strict=True)
            if one != other or key in incomplete
        ]
        if different:
            self._make_room(track, different)
            for step in self._writer.steps(track, different):
                self._carry(step.write, len(step.rows))
        track = replace(
            track,
            compared=track.compared + len(rows),
            source_hash=_hash(track.source_hash, ours),
            target_hash=_hash(track.target_hash, [each for each in theirs if each]),
        )
        self._attempt.raise_if_aborted()
        at = this_moment()
        stages = advanced(self.plan.stages, Stage.FINALIZATION, at, completed=len(rows))
        plan = replace(self.plan, stages=stages).with_track(track)
        self._take(plan.at(replace(self.plan.position, last_id=rows[-1]["_id"])))

    def _end_track(self, track: Track) -> None:
        """In a round of comparison, takes away what the source no longer has."""
        if self.plan.position.round > 0:
            _, held = self._transfer.counts(track)
            if held != track.compared:
                self._remove_surplus(track)
        self._take(self.plan.at(self.plan.position.next_track()))

    def _remove_surplus(self, track: Track) -> None:
        after: str | None = ""
        while after is not None:
            ids, after = self._transfer.surplus(track, after, self._migration.config.step_rows)
            if ids:
                self._carry(self._writer.removal(track, ids), len(ids))

    def _make_room(self, track: Track, rows: Sequence[Document]) -> None:
        """Takes away what has a row's unique key and is gone from the source."""
        if outdated := self._transfer.outdated(track, rows):
            self._carry(self._writer.removal(track, outdated), len(outdated))

    def _carry(self, write: Effect, rows: int) -> None:
        """A change of the source on its way to the target."""
        self._attempt.raise_if_aborted()
        position = self.plan.position
        self._take(self.plan.at(replace(position, carried=position.carried + rows)), write)

    def _next_round(self) -> None:
        plan, at = self.plan, this_moment()
        if self._rounds >= MAX_ROUNDS:
            raise PermanentError(
                f"The source still changes after {MAX_ROUNDS} rounds of catching up: start the "
                "migration again when fewer write to it"
            )
        stages = plan.stages
        if plan.position.round == 0:
            stages = with_definitions(stages, plan.resources, at)
        else:
            rows = sum(track.compared for track in plan.tracks)
            stages = advanced(stages, Stage.FINALIZATION, at, more=rows)
        self._rounds += 1
        self._take(
            replace(
                plan,
                stages=closed(stages, Stage.FINALIZATION, at),
                tracks=tuple(track.anew() for track in plan.tracks),
                position=plan.position.next_round(at),
            ),
            whole=True,
        )

    def _require_source(self, track: Track) -> None:
        """All that migrates, at the begin of a round, and then what the track belongs to."""
        wanted = self.plan.resources
        if self.plan.position.track:
            wanted = [each for each in wanted if each.resource_id == track.source_id]
        gone = self._opening.missing(wanted, self._migration.namespace_id)
        if gone is not None:
            raise PermanentError(
                f"The {gone.resource_type} '{gone.name}' was deleted from the source meanwhile"
            )

    def _take(self, plan: Plan, write: Effect | None = None, *, whole: bool = False) -> None:
        """Stores a step, with how far the migration is, as one checkpoint."""
        save = self._migrations.save_plan if whole else self._migrations.save_step
        keep = partial(save, self._migration.migration_id, plan)
        self._attempt.commit(
            together(write, keep) if write else keep,
            plan.done,
            plan.total,
            errors=plan.failed,
            checkpoint=plan.position.checkpoint(),
        )
        self.plan = plan


def with_definitions(stages: Stages, resources: Sequence[Resource], at: datetime) -> Stages:
    """The stages of clusters and taxonomies: their definitions go along when the target opens."""
    for stage, kind in DEFINITIONS.items():
        number = sum(each.resource_type is kind for each in resources)
        if number:
            stages = advanced(stages, stage, at, completed=number)
    return stages


def _hash(before: str, digests: Sequence[str]) -> str:
    for digest in digests:
        before = chained(before, digest)
    return before
