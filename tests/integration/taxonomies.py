"""A hierarchy of two levels and a collection to assign, as batches would leave them."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from pymongo.database import Database

from app.database import Document
from app.receipts.ledger import Ledger
from app.receipts.receipt import Receipt
from app.resources.collection import CollectionStore, FeatureExtractor, NewCollection
from app.resources.extraction import ExtractionStore, NewDocument, Origin, document_id
from app.resources.extractor import DEFAULT_LIMITS
from app.taxonomies.config import Config, Enrichment, Level, Source, TaxonomyType
from app.taxonomies.materialization import MaterializationStore, Wanted
from app.taxonomies.submission import Materializing, Submitter
from app.taxonomies.taxonomy import NewTaxonomy, Taxonomy, TaxonomyStore

NUMBERS: Final = ("x", "y")
EXTRACTOR: Final = FeatureExtractor("tabular", "v1", {"fields": list(NUMBERS)}, {})
# What differs between two runs that did the same.
PASSING: Final = frozenset({"task_id", "attempt", "assigned_at", "updated_at", "created_at"})

Row = Mapping[str, object]


def add_collection(database: Database[Document], namespace_id: str, name: str) -> str:
    """A collection of plane vectors, with no bucket behind it."""
    new = NewCollection(name, None, ["bkt_none"], EXTRACTOR, {})
    return CollectionStore(database).create(namespace_id, new).collection_id


def add_documents(
    database: Database[Document], namespace_id: str, collection_id: str, rows: Sequence[Row]
) -> list[str]:
    """Documents with these fields, of which x and y are the vector; their ids, in order."""
    before = database["documents"].count_documents({"collection_id": collection_id})
    ids = [f"obj_{before + n:012x}{'0' * 20}" for n in range(len(rows))]
    documents = [
        NewDocument(
            collection_id,
            object_id,
            "tabular",
            np.array([row[name] for name in NUMBERS], np.float32),
            dict(row),
            {},
        )
        for object_id, row in zip(ids, rows, strict=True)
    ]
    origin = Origin(namespace_id, "bkt_none", "btch_none", "tsk_none", 1)
    ExtractionStore(database).write(origin, ids, documents, [])
    return [document_id(collection_id, object_id) for object_id in ids]


def at(degrees: float, **more: object) -> Row:
    """A row whose vector points that way."""
    radians = np.radians(degrees)
    return {"x": float(np.cos(radians)), "y": float(np.sin(radians)), **more}


@dataclass(frozen=True, slots=True)
class TaxonomyScene:
    """Four quarters of a circle with three nodes each, and documents all around it.

    Every tenth document is a zero vector, which matches nothing.
    """

    database: Database[Document]
    namespace_id: str
    taxonomy: Taxonomy
    collection_id: str
    target_id: str

    @classmethod
    def open(
        cls, database: Database[Document], namespace_id: str, *, documents: int = 60, seed: int = 1
    ) -> Self:
        """Makes all of it under fixed vectors; ids are new ones."""
        rng = random.Random(seed)
        names = ("quarters", "nodes", "things", "copies")
        quarters, nodes, things, copies = (
            add_collection(database, namespace_id, name) for name in names
        )
        rows = [at(90 * n, name=f"q{n}") for n in range(4)]
        add_documents(database, namespace_id, quarters, rows)
        rows = [at(30 * n - 30, name=f"n{n}", quarter=f"q{n // 3}", tag=n) for n in range(12)]
        add_documents(database, namespace_id, nodes, rows)
        cls._fill(database, namespace_id, things, documents, rng)
        levels = (
            Level((Source(quarters),), 2, 0.1),
            Level(
                (Source(nodes, parent_field="quarter", enrichment=(Enrichment("tag", "tag"),)),),
                2,
                0.5,
            ),
        )
        said = {"taxonomy_type": "hierarchical", "retriever_id": "", "input_mappings": []}
        config = Config(TaxonomyType.HIERARCHICAL, levels, (), {**said})
        new = NewTaxonomy("around", None, {}, config)
        taxonomy = TaxonomyStore(database).create(namespace_id, new)
        return cls(database, namespace_id, taxonomy, things, copies)

    @staticmethod
    def _fill(
        database: Database[Document],
        namespace_id: str,
        collection_id: str,
        count: int,
        rng: random.Random,
    ) -> None:
        rows: list[Row] = [
            {"x": 0.0, "y": 0.0} if n % 10 == 9 else at(rng.uniform(0, 360)) for n in range(count)
        ]
        add_documents(database, namespace_id, collection_id, rows)

    def next_version(self, threshold: float) -> "TaxonomyScene":
        """The same with a new version, whose nodes have to be more, or less, like a document."""
        levels = tuple(replace(each, threshold=threshold) for each in self.taxonomy.config.levels)
        config = replace(self.taxonomy.config, levels=levels)
        taxonomy = TaxonomyStore(self.database).add_version(self.taxonomy, config)
        return replace(self, taxonomy=taxonomy)

    def submit(self, ledger: Ledger, *, into_target: bool, chunk_documents: int = 10) -> Receipt:
        """The task that materializes it."""
        target = self.target_id if into_target else None
        wanted = Wanted(self.taxonomy, self.collection_id, target, None, chunk_documents)
        materializing = Materializing(
            CollectionStore(self.database),
            MaterializationStore(self.database, ledger.receipts),
            ledger,
            DEFAULT_LIMITS,
        )
        return materializing.submit(wanted, Submitter("key:test", 40))

    def state(self) -> list[object]:
        """All documents there are by id, without what differs from run to run."""
        among = {"collection_id": {"$in": [self.collection_id, self.target_id]}}
        rows = self.database["documents"].find(among, sort=[("_id", 1)])
        return [_lasting(row) for row in rows]


def _lasting(value: object) -> object:
    match value:
        case dict():
            return {key: _lasting(one) for key, one in value.items() if key not in PASSING}
        case list():
            return [_lasting(one) for one in value]
        case _:
            return value
