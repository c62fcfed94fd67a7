"""Submits what a follow-up names."""

from dataclasses import dataclass
from typing import Self

from pymongo.database import Database

from app.clusters.cluster import ClusterStore
from app.clusters.execution import Order, submit_execution
from app.clusters.run import RunStore
from app.database import Document
from app.follow_up.follow_up import FollowUp
from app.receipts.ledger import Ledger
from app.receipts.receipt import Receipt
from app.resources.application import ClusterApplication, TaxonomyApplication
from app.resources.collection import CollectionStore
from app.resources.extractor import Limits
from app.settings import Settings
from app.taxonomies.materialization import MaterializationStore, Wanted
from app.taxonomies.submission import Materializing, Submitter
from app.taxonomies.taxonomy import TaxonomyStore

ACTOR = "after-ingestion"


@dataclass(frozen=True, slots=True)
class Starter:
    """Executes clusters and materializes taxonomies, as their routes do."""

    clusters: ClusterStore
    runs: RunStore
    taxonomies: TaxonomyStore
    materializing: Materializing
    ledger: Ledger
    max_attempts: int

    @classmethod
    def over(cls, database: Database[Document], ledger: Ledger, settings: Settings) -> Self:
        """A starter over this database."""
        limits = Limits(max_image_pixels=settings.max_image_pixels, file_roots=settings.file_roots)
        materializations = MaterializationStore(database, ledger.receipts)
        return cls(
            clusters=ClusterStore(database),
            runs=RunStore(database, ledger.receipts),
            taxonomies=TaxonomyStore(database),
            materializing=Materializing(
                CollectionStore(database), materializations, ledger, limits
            ),
            ledger=ledger,
            max_attempts=settings.max_attempts,
        )

    def __call__(self, follow_up: FollowUp) -> Receipt:
        """The task; where an earlier one is open that serves as well, that one."""
        match follow_up.application:
            case ClusterApplication() as application:
                return self._execute(follow_up, application)
            case TaxonomyApplication() as application:
                return self._materialize(follow_up, application)

    def _execute(self, follow_up: FollowUp, application: ClusterApplication) -> Receipt:
        cluster = self.clusters.get(application.cluster_id, namespace_id=follow_up.namespace_id)
        notes: dict[str, object] = {"collection_id": follow_up.collection_id}
        order = Order(actor=ACTOR, max_attempts=self.max_attempts, notes=notes)
        return submit_execution(self.clusters, self.runs, self.ledger, cluster=cluster, order=order)

    def _materialize(self, follow_up: FollowUp, application: TaxonomyApplication) -> Receipt:
        taxonomy = self.taxonomies.get(application.taxonomy_id, namespace_id=follow_up.namespace_id)
        wanted = Wanted(
            taxonomy,
            follow_up.collection_id,
            target_collection_id=application.target_collection_id,
            filters=application.scroll_filters,
        )
        return self.materializing.submit(wanted, Submitter(ACTOR, self.max_attempts))
