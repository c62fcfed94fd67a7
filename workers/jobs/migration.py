"""Namespace migrations: a run, and the rollback of one that did not complete.

A run writes rows under the target's ids, where nobody can reach them, and compares both sides
until they are equal; the target becomes visible together with the task's end, in one transaction.
"""

from functools import partial
from typing import Final

from app.errors import PermanentError
from app.fetch.reader import ContentReader
from app.migrations.config import MigrationConfig, MigrationType
from app.migrations.document_map import DocumentMap
from app.migrations.estimate import sizes
from app.migrations.examination import Examiner
from app.migrations.finding import Validation
from app.migrations.finishing import Finish
from app.migrations.migration import ROLLBACK_TYPE, RUN_TYPE, Migration
from app.migrations.opening import Opening
from app.migrations.plan import Plan, Track
from app.migrations.planning import planned
from app.migrations.removal import leftovers
from app.migrations.replacement import extractor_of
from app.migrations.stage import Stage, advanced, closed
from app.migrations.store import MigrationStore
from app.migrations.transfer import TransferStore
from app.receipts.draft import this_moment
from app.receipts.receipt import JsonObject
from app.resources.bucket import BucketStore
from app.resources.collection import Collection, CollectionStore
from app.resources.extraction import ExtractionStore
from app.resources.extractor import EXTRACTORS, Limits, input_sources
from app.resources.removal import Removal
from workers import process
from workers.attempt import Attempt, Completion
from workers.celery_app import app
from workers.job import Job
from workers.jobs.loading import Loader
from workers.jobs.pipeline import Pipeline
from workers.jobs.pipeline import Stage as PipelineStage
from workers.jobs.removal import remove
from workers.migration.copying import Copying
from workers.migration.extracting import Extracting, Machinery
from workers.migration.run import Run
from workers.migration.step import Writer
from workers.process import WorkerProcess

FINDINGS_TOLD: Final = 3
ESTIMATE_ROWS: Final = 1_000  # of a step


@app.task(base=Job, bind=True, name=RUN_TYPE, submittable=False, suspendable=True)
def run_migration(self: Job, attempt: Attempt) -> Completion:
    """Carries the migration named by the one input out, or says what it would do."""
    return carry_out(process.current(self.app), attempt)


@app.task(base=Job, bind=True, name=ROLLBACK_TYPE, submittable=False, suspendable=True)
def roll_back_migration(self: Job, attempt: Attempt) -> Completion:
    """Deletes all that the migration named by the one input wrote."""
    return take_back(process.current(self.app), attempt)


def carry_out(worker: WorkerProcess, attempt: Attempt) -> Completion:
    """A run, from its last checkpoint; the effect of the answer opens the target.

    `PermanentError` where something stands in the way, or the source loses what migrates.
    """
    migrations = MigrationStore(worker.database, worker.ledger.receipts)
    migration = migrations.get(str(attempt.inputs[0]))
    validation = _validated(worker, migrations, migration)
    plan = migration.plan or planned(
        worker.database, migration.config, migration.ids, validation.resources
    )
    if migration.config.dry_run:
        report = _estimate(worker, attempt, plan, validation)
        return Completion(report, partial(migrations.save_report, migration.migration_id, report))
    if migration.plan is None:
        plan = _set_up(attempt, migrations, migration, plan)
    stores = (migrations, TransferStore(worker.database), Opening(worker.database))
    writer = _writer(worker, attempt, migration, plan)
    plan = Run(attempt, migration, plan, writer, stores=stores).carry_all()
    finish = Finish(migration, plan, stores=stores, expected=writer.expected)
    return Completion(finish.outputs, finish.open)


def take_back(worker: WorkerProcess, attempt: Attempt) -> Completion:
    """A rollback, a bounded step at a time."""
    migrations = MigrationStore(worker.database, worker.ledger.receipts)
    migration = migrations.get(str(attempt.inputs[0]))
    removal = Removal(worker.database, partial(leftovers, migration))
    removed = sum(remove(attempt, removal).values())
    report = {"migration_id": migration.migration_id, "removed": removed}
    return Completion(report, partial(migrations.save_rolled_back, migration.migration_id))


def _validated(
    worker: WorkerProcess, migrations: MigrationStore, migration: Migration
) -> Validation:
    """What is there now; `PermanentError` where something stands in the way."""
    examiner = Examiner(worker.database, migrations, _limits(worker))
    found = examiner.examine(migration.config, migration_id=migration.migration_id)
    migrations.save_validation(migration.migration_id, found)
    if found.errors:
        raise PermanentError("; ".join(each.message for each in found.errors[:FINDINGS_TOLD]))
    return found


def _set_up(attempt: Attempt, migrations: MigrationStore, migration: Migration, plan: Plan) -> Plan:
    """The first checkpoint: what there is to do."""
    at = this_moment()
    stages = advanced(plan.stages, Stage.NAMESPACE_SETUP, at, completed=1)
    plan = Plan(plan.resources, plan.tracks, closed(stages, Stage.BATCH_CREATION, at))
    attempt.commit(
        partial(migrations.save_plan, migration.migration_id, plan),
        plan.done,
        plan.total,
        checkpoint=plan.position.checkpoint(),
    )
    return plan


def _estimate(
    worker: WorkerProcess, attempt: Attempt, plan: Plan, validation: Validation
) -> JsonObject:
    """What a run would move: rows and bytes, counted."""
    total = sum(track.rows for track in plan.tracks)
    rows = size_bytes = 0
    for count, some_bytes in sizes(worker.database, plan, step_rows=ESTIMATE_ROWS):
        attempt.raise_if_aborted()
        rows, size_bytes = rows + count, size_bytes + some_bytes
        attempt.progress(rows, max(total, rows))
    return {
        "dry_run": True,
        "estimated_resources": dict(validation.counts),
        "rows": rows,
        "size_bytes": size_bytes,
        "execution_order": plan.ids,
    }


def _writer(worker: WorkerProcess, attempt: Attempt, migration: Migration, plan: Plan) -> Writer:
    transfer = TransferStore(worker.database)
    documents = DocumentMap(worker.database, migration.ids, plan.ids)
    if migration.config.migration_type is not MigrationType.RE_EXTRACT:
        return Copying(transfer, migration, attempt, documents)
    buckets = BucketStore(worker.database)

    def loader(track: Track, pipeline: Pipeline) -> Loader:
        bucket = buckets.get(track.source_id, namespace_id=migration.namespace_id)
        return Loader(
            bucket.schema,
            pipeline.properties,
            ContentReader.of(worker.settings),
            is_last_attempt=not attempt.receipt.has_another_attempt,
        )

    stages = {track.source_id: _stages(worker, migration, plan, track) for track in plan.tracks}
    machinery = Machinery(ExtractionStore(worker.database), stages, loader)
    return Extracting(transfer, migration, attempt, documents, machinery)


def _stages(
    worker: WorkerProcess, migration: Migration, plan: Plan, track: Track
) -> list[PipelineStage]:
    """The extractors, as the target has them, of the collections that read the bucket."""
    reading = CollectionStore(worker.database).reading(
        track.source_id, namespace_id=migration.namespace_id
    )
    going = set(plan.ids)
    return [
        _stage(worker, migration.config, each, migration.ids.new(each.collection_id))
        for each in reading
        if each.collection_id in going
    ]


def _stage(
    worker: WorkerProcess, config: MigrationConfig, collection: Collection, target_id: str
) -> PipelineStage:
    spec = extractor_of(config, collection)
    extractor = EXTRACTORS.build(spec.name, spec.parameters, _limits(worker))
    return PipelineStage(target_id, extractor, input_sources(extractor.inputs, spec.input_mappings))


def _limits(worker: WorkerProcess) -> Limits:
    settings = worker.settings
    return Limits(max_image_pixels=settings.max_image_pixels, file_roots=settings.file_roots)
