"""Taxonomy materialization: each document of a collection is assigned the nodes it is most like.

The task cuts the collection into ranges of document ids, which are child tasks that run on every
worker; the one that ends last has what earlier tasks assigned taken away.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from threadpoolctl import threadpool_limits

from app.errors import PermanentError
from app.receipts.family import Children
from app.receipts.receipt import Piece
from app.resources.collection import CollectionStore
from app.resources.extractor import Limits
from app.taxonomies.descent import assign
from app.taxonomies.materialization import TASK_TYPE, Materialization, MaterializationStore
from app.taxonomies.node import NodeStore
from app.taxonomies.placement import PlacementStore, Writer
from app.taxonomies.query import Query
from app.taxonomies.submission import sources_of
from app.taxonomies.taxonomy import Taxonomy, TaxonomyStore
from workers import process
from workers.attempt import Attempt, Completion, FanOut
from workers.celery_app import app
from workers.job import Job

# Chunks run on every core already; more threads than cores wait for each other.
THREADS: Final = 1
CHUNK_TASK_TYPE: Final = f"{TASK_TYPE}.chunk"

Totals = dict[str, int]
COUNTS: Final = ("documents", "assigned", "skipped", "assignments")


@app.task(base=Job, bind=True, name=CHUNK_TASK_TYPE, submittable=False, suspendable=True)
def assign_chunk(self: Job, attempt: Attempt) -> Totals:
    """Assigns the documents of one range of ids, step by step.

    A later attempt goes on after the last step that was stored.
    """
    worker = process.current(self.app)
    task_id = attempt.receipt.parent_task_id
    assert task_id is not None
    row = _row(worker, attempt, task_id)
    taxonomy = _taxonomy(worker, row)
    query = _query(worker, taxonomy)
    nodes = NodeStore(
        worker.database, taxonomy.config, query.feature, namespace_id=row.namespace_id
    )
    store = PlacementStore(worker.database, row)
    after, upto = (str(value) for value in attempt.inputs[1:])
    document_ids = list(store.ids(after, upto))
    totals, done = _resumed(attempt.checkpoint)
    left = [one for one in document_ids if one > done]
    writer = Writer(task_id, attempt.task_id, attempt.number)
    top_k = max(level.top_k for level in taxonomy.config.levels)
    for page in store.pages(left, query.paths, top_k=top_k):
        attempt.raise_if_aborted()
        if not page:
            continue
        with threadpool_limits(THREADS):
            found = assign(query.vectors(page), taxonomy.config.levels, nodes)
        totals = _added(totals, [len(each) for each in found])
        attempt.commit(
            partial(store.write, writer, page, found),
            totals["documents"],
            max(totals["documents"], len(document_ids)),
            checkpoint={"totals": totals, "done": page[-1]["_id"]},
        )
    return totals


def conclude_materialization(self: Job, attempt: Attempt, children: Children) -> Completion:
    """Takes away what earlier tasks assigned, and records that the version is in place."""
    if children.unfinished:
        error = f", the first with: {children.first_error}" if children.first_error else ""
        raise PermanentError(
            f"{children.unfinished} of the {children.total} chunks did not end well{error}"
        )
    worker = process.current(self.app)
    row = _row(worker, attempt, attempt.task_id)
    store = PlacementStore(worker.database, row)
    counts = {name: children.sums.get(name, 0) for name in COUNTS}
    for within in store.ranges():
        attempt.raise_if_aborted()
        attempt.commit(
            partial(store.sweep, attempt.task_id, within), counts["documents"], counts["documents"]
        )
    nodes = NodeStore.count(worker.database, _taxonomy(worker, row).config)
    outputs = {**counts, "nodes": nodes, "version": row.version}
    materializations = MaterializationStore(worker.database, worker.ledger.receipts)
    return Completion(outputs, partial(materializations.complete, row))


@app.task(
    base=Job,
    bind=True,
    name=TASK_TYPE,
    submittable=False,
    suspendable=True,
    conclude=conclude_materialization,
)
def materialize(self: Job, attempt: Attempt) -> FanOut:
    """Plans the chunks, once: what is added later does not move their bounds."""
    worker = process.current(self.app)
    row = _row(worker, attempt, attempt.task_id)
    _query(worker, _taxonomy(worker, row))  # what can't be compared fails before any chunk runs
    if row.bounds is None:
        bounds = list(PlacementStore(worker.database, row).parts(row.chunk_documents))
        store = MaterializationStore(worker.database, worker.ledger.receipts)
        attempt.commit(partial(store.plan, row, bounds), 0)
        row = _row(worker, attempt, attempt.task_id)
    return FanOut(CHUNK_TASK_TYPE, _pieces(row))


def _pieces(row: Materialization) -> Iterator[Piece]:
    """A piece for each range of ids: beyond the last one's end, up to its own."""
    after = ""
    for ordinal, (upto, count) in enumerate(row.bounds or ()):
        yield Piece(ordinal, inputs=[row.materialization_id, after, upto], units=count)
        after = upto


def _row(worker: process.WorkerProcess, attempt: Attempt, task_id: str) -> Materialization:
    """What the task is to do; it is its own alone."""
    store = MaterializationStore(worker.database, worker.ledger.receipts)
    return store.of_task(str(attempt.additional_data["materialization_id"]), task_id)


def _taxonomy(worker: process.WorkerProcess, row: Materialization) -> Taxonomy:
    return TaxonomyStore(worker.database).get(
        row.taxonomy_id, namespace_id=row.namespace_id, version=row.version
    )


def _query(worker: process.WorkerProcess, taxonomy: Taxonomy) -> Query:
    settings = worker.settings
    limits = Limits(max_image_pixels=settings.max_image_pixels, file_roots=settings.file_roots)
    collections = CollectionStore(worker.database)
    sources = sources_of(taxonomy.config, collections, namespace_id=taxonomy.namespace_id)
    return Query.of(taxonomy.config, sources, limits)


def _resumed(checkpoint: object) -> tuple[Totals, str]:
    """The counts of an earlier attempt and the last document that it stored, or zeros."""
    if isinstance(checkpoint, dict):
        return dict(checkpoint["totals"]), str(checkpoint["done"])
    return dict.fromkeys(COUNTS, 0), ""


def _added(totals: Totals, counts: list[int]) -> Totals:
    assigned = sum(count > 0 for count in counts)
    return {
        "documents": totals["documents"] + len(counts),
        "assigned": totals["assigned"] + assigned,
        "skipped": totals["skipped"] + len(counts) - assigned,
        "assignments": totals["assignments"] + sum(counts),
    }
