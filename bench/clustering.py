"""K-means of 100,000 × 256 float32: read from MongoDB and fitted, against scikit-learn's own fit.

Both read the same documents with the same code. The reference stacks the vectors and calls
KMeans.fit with the same parameters on as many threads. The memory is that of a process of its own
which does our part once.
"""

import multiprocessing
import resource
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

import numpy as np
from bson.binary import Binary, BinaryVectorDtype
from pymongo import MongoClient
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from app.clusters.method import ClusteringMethod, Parameters, parse_parameters
from app.clusters.reading import Selection
from app.clusters.source import Source
from app.database import Document
from app.resources.extractor import Feature, Vector
from bench.noop.place import open_place
from bench.rounds import alternate
from bench.row import Row, at_most, figure, noted, within
from workers.clustering.computation import Plan, compute
from workers.clustering.estimator import fit
from workers.clustering.layout import Layout, Part
from workers.clustering.matrix import Row as VectorRow
from workers.clustering.matrix import fill
from workers.clustering.metric import measure
from workers.clustering.repetition import THREADS

COUNT: Final = 100_000
DIMENSION: Final = 256
REACH: Final = 1.1
PEAK_MIB: Final = 600.0
LIMIT_BYTES: Final = 2**30
COLLECTION_ID: Final = "col_bench"
DATABASE: Final = "waybill_bench"
# The contract's defaults, but for fewer starts: five rounds of ten would take a quarter of an hour.
SETTINGS: Final[dict[str, object]] = {"n_clusters": 8, "n_init": 3, "max_iter": 300, "tol": 1e-4}
_BLOCK: Final = 5000


@dataclass(frozen=True, slots=True)
class Parts:
    """Seconds of our reading and fit, which are compared, and of the metrics, which are not."""

    read_s: float
    fit_s: float
    measure_s: float


def rows() -> list[Row]:
    """Over documents in a database of its own."""
    with (
        open_place() as place,
        MongoClient[Document](place.mongo_url) as client,
    ):
        _store(client)
        parts: list[Parts] = []

        def ours() -> float:
            parts.append(_ours(client))
            return parts[-1].read_s + parts[-1].fit_s

        found = alternate(ours, lambda: _reference(client))
        peak_mib = _peak_mib(place.mongo_url)
    return [
        at_most(
            f"k-means of {COUNT:,} × {DIMENSION} vectors from MongoDB",
            found,
            reach=REACH,
            unit="s",
            against="scikit-learn's fit, and the read",
        ),
        within("its memory, of a process of its own", peak_mib, reach=PEAK_MIB, unit="MiB"),
        noted("its parts, medians", _told(parts[1:])),
    ]


def _told(parts: Sequence[Parts]) -> str:
    seconds = {
        name: figure(statistics.median(getattr(each, f"{name}_s") for each in parts))
        for name in ("read", "fit", "measure")
    }
    return ", ".join(f"{name} {value} s" for name, value in seconds.items())


def _ours(client: MongoClient[Document]) -> Parts:
    began = time.perf_counter()
    matrix = fill(_rows(client), COUNT, _layout())
    read = time.perf_counter()
    found = fit(matrix.values, _parameters())
    fitted = time.perf_counter()
    measure(matrix.values, found.labels)
    return Parts(read - began, fitted - read, time.perf_counter() - fitted)


def _reference(client: MongoClient[Document]) -> float:
    began = time.perf_counter()
    values = np.empty((COUNT, DIMENSION), dtype=np.float32)
    for place, (_, vectors) in enumerate(_rows(client)):
        values[place] = vectors[0]
    settings = {"random_state": 42, **SETTINGS}
    with threadpool_limits(THREADS):
        KMeans(**settings).fit(values)
    return time.perf_counter() - began


def _peak_mib(mongo_url: str) -> float:
    """Of a fresh process, as a worker's child is one."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_computed, args=(mongo_url, sender))
    child.start()
    child.join()
    return float(receiver.recv())


def _computed(mongo_url: str, sender: Connection) -> None:
    with MongoClient[Document](mongo_url) as client:
        plan = Plan(COUNT, _layout(), _parameters(), LIMIT_BYTES)
        compute(lambda: _rows(client), plan, lambda _: None)
    sender.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _rows(client: MongoClient[Document]) -> Iterator[VectorRow]:
    selection = Selection(client[DATABASE], namespace_id="ns_bench", collection_ids=[COLLECTION_ID])
    feature = Feature(name="text", dimension=DIMENSION, description="", source="")
    source = Source((feature,), {"text": (COLLECTION_ID,)})
    return ((row.document_id, row.vectors) for row in selection.vectors(source))


def _layout() -> Layout:
    return Layout((Part("text", DIMENSION),))


def _parameters() -> Parameters:
    return parse_parameters(ClusteringMethod.KMEANS, SETTINGS)


def _store(client: MongoClient[Document]) -> None:
    documents = client[DATABASE]["documents"]
    documents.create_index([("namespace_id", 1), ("collection_id", 1), ("_id", 1)])
    rng = np.random.default_rng(1)
    middles = rng.normal(scale=2, size=(20, DIMENSION)).astype(np.float32)
    for start in range(0, COUNT, _BLOCK):
        noise = rng.standard_normal((_BLOCK, DIMENSION), dtype=np.float32)
        values = middles[rng.integers(0, 20, _BLOCK)] + noise
        documents.insert_many(
            [_document(start + place, value) for place, value in enumerate(values)]
        )


def _document(number: int, vector: Vector) -> Document:
    return {
        "_id": f"doc_{number:08}",
        "namespace_id": "ns_bench",
        "collection_id": COLLECTION_ID,
        "object_id": f"obj_{number:08}",
        "vectors": {"text": Binary.from_vector(vector.tolist(), BinaryVectorDtype.FLOAT32)},
    }
