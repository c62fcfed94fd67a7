"""All stores of one process over one database."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Final, Protocol, Self

from fastapi import Depends, Request
from pymongo.database import Database

from app.access.directory import Directory
from app.access.idempotency import IdempotencyStore
from app.access.key_store import KeyStore
from app.access.last_use import LastUse
from app.access.rate_limit import RateLimiter
from app.access.rotation import Rotation
from app.caching.answer import AnswerCache
from app.clusters.cluster import ClusterStore
from app.clusters.finding import FindingStore
from app.clusters.run import RunStore
from app.database import Document
from app.deliveries.post import Post
from app.events.outbox import OutboxStore
from app.follow_up.follow_up import FollowUpStore
from app.migrations.store import MigrationStore
from app.receipts.ledger import Ledger
from app.receipts.reading import ReceiptReader
from app.resources.batch import BatchStore
from app.resources.batch_member import BatchMemberStore
from app.resources.bucket import BucketStore
from app.resources.collection import CollectionStore
from app.resources.document import DocumentStore
from app.resources.extraction import ExtractionStore
from app.resources.namespace import NamespaceStore
from app.resources.stored_object import ObjectStore
from app.settings import Settings
from app.taxonomies.materialization import MaterializationStore
from app.taxonomies.taxonomy import TaxonomyStore
from app.taxonomies.trial import TrialStore
from app.tracking.reading.reader import RunReader

INDEXES_AT_ONCE: Final = 8


class Indexed(Protocol):
    """A store whose collections have indexes."""

    def ensure_indexes(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Stores:
    """What the routes work on; the app keeps it as `app.state.stores`."""

    settings: Settings
    keys: KeyStore
    rotation: Rotation
    last_use: LastUse
    rate_limiter: RateLimiter
    namespaces: NamespaceStore
    directory: Directory
    idempotency: IdempotencyStore
    buckets: BucketStore
    objects: ObjectStore
    collections: CollectionStore
    documents: DocumentStore
    batches: BatchStore
    members: BatchMemberStore
    extractions: ExtractionStore
    clusters: ClusterStore
    cluster_runs: RunStore
    cluster_findings: FindingStore
    follow_ups: FollowUpStore
    migrations: MigrationStore
    taxonomies: TaxonomyStore
    materializations: MaterializationStore
    trials: TrialStore
    answers: AnswerCache
    outbox: OutboxStore
    post: Post
    runs: RunReader
    ledger: Ledger
    reader: ReceiptReader

    @classmethod
    def over(
        cls,
        database: Database[Document],
        settings: Settings,
        ledger: Ledger,
        reader: ReceiptReader,
    ) -> Self:
        """The stores over this database; sends nothing yet."""
        keys, namespaces = KeyStore(database), NamespaceStore(database)
        batches = BatchStore(database, ledger.receipts)
        return cls(
            settings=settings,
            keys=keys,
            rotation=Rotation(database),
            last_use=LastUse(database),
            rate_limiter=RateLimiter.open(settings),
            namespaces=namespaces,
            directory=Directory(keys, namespaces),
            idempotency=IdempotencyStore(database),
            buckets=BucketStore(database),
            objects=ObjectStore(database),
            collections=CollectionStore(database),
            documents=DocumentStore(database),
            batches=batches,
            members=BatchMemberStore(database, batches),
            extractions=ExtractionStore(database),
            clusters=ClusterStore(database),
            cluster_runs=RunStore(database, ledger.receipts),
            cluster_findings=FindingStore(database),
            follow_ups=FollowUpStore(database),
            migrations=MigrationStore(database, ledger.receipts),
            taxonomies=TaxonomyStore(database),
            materializations=MaterializationStore(database, ledger.receipts),
            trials=TrialStore(database),
            answers=AnswerCache.open(settings),
            outbox=OutboxStore(database),
            post=Post.open(database, settings),
            runs=RunReader(settings.postgres_url),
            ledger=ledger,
            reader=reader,
        )

    def ensure_indexes(self) -> None:
        """Makes every index; safe to repeat and to run from several processes at once."""
        stores: tuple[Indexed, ...] = (
            self.keys,
            self.namespaces,
            self.idempotency,
            self.buckets,
            self.objects,
            self.collections,
            self.documents,
            self.batches,
            self.extractions,
            self.clusters,
            self.cluster_runs,
            self.cluster_findings,
            self.follow_ups,
            self.migrations,
            self.taxonomies,
            self.materializations,
            self.outbox,
            self.post,
            self.ledger.receipts,
            self.ledger.pulse,
            self.ledger.job_types,
        )
        # Nearly all of the time is spent waiting for MongoDB to write each down.
        with ThreadPoolExecutor(INDEXES_AT_ONCE) as pool:
            list(pool.map(lambda store: store.ensure_indexes(), stores))


def stores_of(request: Request) -> Stores:
    """The stores of the app that serves the request."""
    found = request.app.state.stores
    assert isinstance(found, Stores)
    return found


async def _held(request: Request) -> Stores:
    """A dependency that is not async would cost each request a turn through the thread pool."""
    return stores_of(request)


Held = Annotated[Stores, Depends(_held)]
