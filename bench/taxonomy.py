"""A taxonomy of 10,000 nodes of 256 numbers, materialized on a stack's workers.

The reference is the least that exact search can do: products of the same blocks of unit vectors
with NumPy in one process on one thread, and the best of each row.
"""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
from bson.binary import Binary, BinaryVectorDtype
from pymongo import MongoClient
from threadpoolctl import threadpool_limits

from app.database import Document
from bench.large_batch import note_memory
from bench.rounds import alternate
from bench.row import Row, beside, figure, noted
from bench.stack import bench_stack
from tests.stack import Stack
from waybill import Client
from waybill.flow.polling import TERMINAL

NODES: Final = 10_000
DOCUMENTS: Final = 20_000
DIMENSION: Final = 256  # of the text extractor
SAMPLE_EVERY_S: Final = 0.5
SLOWEST_S: Final = 600.0
REFERENCE_STEPS: Final = 5
_STEP: Final = 1_000  # documents of a step, and nodes of a block: a million pairs
_BLOCK: Final = 5_000

Vectors = npt.NDArray[np.float32]


def rows() -> list[Row]:
    """Pairs a second of whole tasks, each of which assigns every document its best node."""
    rng = np.random.default_rng(1)
    peak_mib: dict[str, float] = {}
    with bench_stack() as (stack, client):
        client.buckets.create("vectors", bucket_schema={"properties": {}})
        with MongoClient[Document](stack.mongo_url) as mongo:
            for name, count in (("nodes", NODES), ("things", DOCUMENTS)):
                _fill(client, mongo, name, count, rng)
        client.taxonomies.create("bench", {"source_collection": "nodes", "threshold": 0.0})
        found = alternate(
            lambda: _materialized(client, stack, peak_mib), lambda: _bare_pairs_per_s(rng)
        )
    peaks = ", ".join(f"{role} {figure(used)} MiB" for role, used in sorted(peak_mib.items()))
    return [
        beside(
            f"a taxonomy of {NODES:,} nodes over {DOCUMENTS:,} documents",
            found,
            unit="pairs/s",
            against="products of blocks in NumPy alone, one process",
        ),
        noted("its memory, the largest process of each role", peaks),
    ]


def _materialized(client: Client, stack: Stack, peak_mib: dict[str, float]) -> float:
    task = client.taxonomies.materialize("bench", "things")
    deadline_s = time.monotonic() + SLOWEST_S
    while task["status"] not in TERMINAL:
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"the task was not done within {SLOWEST_S:g} s")
        time.sleep(SAMPLE_EVERY_S)
        task = client.tasks.get(task["task_id"])
        note_memory(peak_mib, stack.pids())
    if task["status"] != "COMPLETED":
        raise AssertionError(f"the task is {task['status']}: {task['error_message']}")
    began, ended = (datetime.fromisoformat(str(task[key])) for key in ("started_at", "ended_at"))
    return DOCUMENTS * NODES / (ended - began).total_seconds()


def _fill(
    client: Client, mongo: MongoClient[Document], name: str, count: int, rng: np.random.Generator
) -> None:
    collection = client.collections.create(
        name,
        bucket_ids=["vectors"],
        feature_extractor={
            "feature_extractor_name": "text",
            "input_mappings": {"text": "body"},
        },
    )
    documents = mongo["waybill"]["documents"]
    for start in range(0, count, _BLOCK):
        values = _random(rng, _BLOCK)
        documents.insert_many(
            [_document(collection, start + n, one) for n, one in enumerate(values)]
        )


def _document(collection: Mapping[str, object], number: int, vector: Vectors) -> Document:
    at = datetime.fromisoformat(str(collection["created_at"]))
    return {
        "_id": f"doc_{str(collection['collection_id'])[-24:]}{number:08}",
        "namespace_id": collection["namespace_id"],
        "collection_id": collection["collection_id"],
        "bucket_id": "bkt_bench",
        "object_id": f"obj_{number:032}",
        "task_id": "tsk_bench",
        "attempt": 1,
        "vectors": {"text": Binary.from_vector(vector.tolist(), BinaryVectorDtype.FLOAT32)},
        "fields": {"name": f"number {number}"},
        "metadata": {},
        "created_at": at,
        "updated_at": at,
    }


def _bare_pairs_per_s(rng: np.random.Generator) -> float:
    nodes = _random(rng, NODES)
    steps = [_random(rng, _STEP) for _ in range(REFERENCE_STEPS)]
    began_s = time.perf_counter()
    with threadpool_limits(1):
        for step in steps:
            best = np.full(_STEP, -np.inf, np.float32)
            for start in range(0, NODES, _STEP):
                np.maximum(best, (step @ nodes[start : start + _STEP].T).max(axis=1), out=best)
    return REFERENCE_STEPS * _STEP * NODES / (time.perf_counter() - began_s)


def _random(rng: np.random.Generator, count: int) -> Vectors:
    """Unit vectors; no two alike."""
    made = rng.standard_normal((count, DIMENSION), dtype=np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made
