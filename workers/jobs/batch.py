"""Batch processing: a bucket's objects become documents of its collections.

The batch's task cuts its objects into chunks, which are child tasks that run on every worker;
the one that ends last has the batch concluded.
"""

from contextlib import closing
from functools import partial
from typing import Final

from app.errors import PermanentError
from app.fetch.reader import ContentReader
from app.receipts.family import Children
from app.resources.batch import TASK_TYPE, Batch, BatchStore
from app.resources.batch_member import BatchMemberStore
from app.resources.bucket import BucketStore
from app.resources.collection import CollectionStore
from app.resources.extraction import ExtractionStore, Origin
from app.resources.extractor import EXTRACTORS, Limits, input_sources
from workers import process
from workers.attempt import Attempt, Completion, FanOut
from workers.celery_app import app
from workers.job import Job
from workers.jobs.loading import Loader
from workers.jobs.pipeline import Outcome, Pipeline, Stage

CHUNK_TASK_TYPE: Final = f"{TASK_TYPE}.chunk"

Totals = dict[str, int]


@app.task(base=Job, bind=True, name=CHUNK_TASK_TYPE, submittable=False, suspendable=True)
def process_chunk(self: Job, attempt: Attempt) -> Totals:
    """Turns the objects from `first` to `last` of a batch into documents, slice by slice.

    A later attempt goes on after the last slice that was stored.
    """
    batch_id, first, last = (str(value) for value in attempt.inputs)
    worker = process.current(self.app)
    batches = BatchStore(worker.database, worker.ledger.receipts)
    batch = batches.get(batch_id, namespace_id=attempt.namespace_id)
    object_ids = list(BatchMemberStore(worker.database, batches).ids(batch_id, first, last))
    store = ExtractionStore(worker.database)
    origin = Origin(batch.namespace_id, batch.bucket_id, batch_id, attempt.task_id, attempt.number)
    totals = _totals(attempt.checkpoint)
    left = object_ids[totals["objects"] :]
    pipeline = Pipeline(_stages(worker, batch))
    loader = _loader(worker, batch, pipeline, attempt)
    with closing(loader.slices(store.pages(origin, left))) as slices:
        for loaded in slices:
            outcome = pipeline.run(loaded)
            attempt.raise_if_aborted()
            totals = _added(totals, outcome)
            attempt.commit(
                partial(
                    store.write, origin, outcome.object_ids, outcome.documents, outcome.failures
                ),
                totals["objects"],
                len(object_ids),
                errors=totals["failed"],
                checkpoint=totals,
            )
    return totals


def conclude_batch(self: Job, attempt: Attempt, children: Children) -> Completion:
    """The batch's counts, or its failure: a chunk was lost for good, or nothing succeeded.

    Whoever sees that it is completed sees its documents: no earlier answer is given about them.
    """
    if children.unfinished:
        error = f", the first with: {children.first_error}" if children.first_error else ""
        raise PermanentError(
            f"{children.unfinished} of the {children.total} chunks did not end well{error}"
        )
    worker, batch_id = process.current(self.app), str(attempt.inputs[0])
    if not children.sums.get("succeeded"):
        first = ExtractionStore(worker.database).failures(batch_id, limit=1)
        reason = f", the first because of: {first[0]['reason']}" if first else ""
        raise PermanentError(
            f"None of the {children.sums.get('objects', 0)} objects became a document{reason}"
        )
    batches = BatchStore(worker.database, worker.ledger.receipts)
    batch = batches.get(batch_id, namespace_id=attempt.namespace_id)
    written = partial(CollectionStore(worker.database).move_on, batch.collection_ids or ())
    return Completion({"chunks": children.total, **children.sums}, written)


@app.task(
    base=Job,
    bind=True,
    name=TASK_TYPE,
    submittable=False,
    suspendable=True,
    conclude=conclude_batch,
)
def process_batch(self: Job, attempt: Attempt) -> FanOut:
    """Plans the chunks of the batch named by the one input."""
    worker = process.current(self.app)
    batches = BatchStore(worker.database, worker.ledger.receipts)
    members = BatchMemberStore(worker.database, batches)
    batch = batches.get(str(attempt.inputs[0]), namespace_id=attempt.namespace_id)
    size = batch.chunk_objects or worker.settings.chunk_objects
    return FanOut(CHUNK_TASK_TYPE, members.pieces(batch.batch_id, size=size))


def _totals(checkpoint: object) -> Totals:
    """The counts of an earlier attempt, or zeros; the objects are done in their order."""
    if isinstance(checkpoint, dict):
        return dict(checkpoint)
    return {"objects": 0, "succeeded": 0, "failed": 0, "documents": 0}


def _added(totals: Totals, outcome: Outcome) -> Totals:
    objects = len(outcome.object_ids)
    return {
        "objects": totals["objects"] + objects,
        "succeeded": totals["succeeded"] + objects - outcome.failed_objects,
        "failed": totals["failed"] + outcome.failed_objects,
        "documents": totals["documents"] + len(outcome.documents),
    }


def _loader(
    worker: process.WorkerProcess, batch: Batch, pipeline: Pipeline, attempt: Attempt
) -> Loader:
    bucket = BucketStore(worker.database).get(batch.bucket_id, namespace_id=batch.namespace_id)
    return Loader(
        bucket.schema,
        pipeline.properties,
        ContentReader.of(worker.settings),
        is_last_attempt=not attempt.receipt.has_another_attempt,
    )


def _stages(worker: process.WorkerProcess, batch: Batch) -> list[Stage]:
    settings = worker.settings
    limits = Limits(max_image_pixels=settings.max_image_pixels, file_roots=settings.file_roots)
    collections = CollectionStore(worker.database).reading(
        batch.bucket_id, namespace_id=batch.namespace_id, collection_ids=batch.collection_ids
    )
    stages = []
    for collection in collections:
        spec = collection.feature_extractor
        extractor = EXTRACTORS.build(spec.name, spec.parameters, limits)
        sources = input_sources(extractor.inputs, spec.input_mappings)
        stages.append(Stage(collection.collection_id, extractor, sources))
    return stages
