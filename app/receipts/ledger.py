"""The receipts of one process: its stores over one MongoDB and one Redis, with its publisher."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

from celery import Celery
from pymongo.database import Database
from redis import Redis

from app.database import Document
from app.receipts.admission import AdmissionStore
from app.receipts.cache import ReceiptCache
from app.receipts.cancellation import CancellationStore
from app.receipts.family import FamilyStore
from app.receipts.job_type import JobTypeStore
from app.receipts.killer import Killer
from app.receipts.lane import LaneStore
from app.receipts.lease import LeaseStore
from app.receipts.nudge import Nudge
from app.receipts.publisher import Publisher
from app.receipts.pulse import PulseStore
from app.receipts.queue import QueueStore
from app.receipts.quota import NO_QUOTA, Quota, QuotaStore
from app.receipts.store import ReceiptStore
from app.receipts.submission import Submission
from app.receipts.suspension import SuspensionStore
from app.settings import Settings, required

# The copies are never needed, so a Redis that is slow must not hold a write up for longer.
COPY_TIMEOUT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Times:
    """How long a lease lasts, a killed job has to end itself, a message may be on its way."""

    lease: timedelta
    grace: timedelta
    lost_after: timedelta


@dataclass(frozen=True, slots=True)
class Ledger:
    """Everything that a process does with receipts."""

    cache: ReceiptCache
    receipts: ReceiptStore
    families: FamilyStore
    leases: LeaseStore
    cancellations: CancellationStore
    suspensions: SuspensionStore
    queue: QueueStore
    job_types: JobTypeStore
    pulse: PulseStore
    publisher: Publisher
    admissions: AdmissionStore
    submission: Submission
    killer: Killer

    @classmethod
    def open(
        cls,
        settings: Settings,
        database: Database[Document],
        celery: Celery,
        *,
        patience: timedelta = timedelta(0),
        writes_behind: bool = False,
    ) -> Self:
        """The stores of this process; no connection is made before the first use.

        `writes_behind` is for processes that run tasks: no copy in Redis holds up a job.
        """
        redis: Redis = Redis.from_url(
            required(settings.redis_url, "redis_url"),
            socket_timeout=COPY_TIMEOUT_S,
            socket_connect_timeout=COPY_TIMEOUT_S,
        )
        lease = timedelta(seconds=settings.lease_s)
        cache = ReceiptCache(
            redis,
            Nudge(redis, celery),
            ttl_s=settings.receipt_cache_ttl_s,
            writes_behind=writes_behind,
        )
        receipts = ReceiptStore(
            database,
            cache,
            lease=lease,
            retention=timedelta(days=settings.receipt_retention_days),
            patience=patience,
        )
        return cls.over(
            receipts,
            Publisher(celery),
            Times(
                lease=lease,
                grace=timedelta(seconds=settings.kill_grace_s),
                lost_after=timedelta(seconds=settings.republish_after_s),
            ),
            quota=Quota(settings.max_running_tasks, settings.max_pending_tasks),
        )

    @classmethod
    def over(
        cls,
        receipts: ReceiptStore,
        publisher: Publisher,
        times: Times,
        *,
        quota: Quota = NO_QUOTA,
    ) -> Self:
        """All that stands on one store of receipts and one publisher; `quota` is for namespaces
        that name none.
        """
        database = receipts.tasks.database
        lanes = LaneStore(receipts.tasks)
        families = FamilyStore(receipts, lanes)
        cancellations = CancellationStore(receipts, families, grace=times.grace)
        queue = QueueStore(receipts, lost_after=times.lost_after)
        hurried = receipts.hurried()
        enders = CancellationStore(hurried, families, grace=times.grace)
        quotas = QuotaStore(database, defaults=quota)
        admissions = AdmissionStore(receipts, quotas, lanes)
        return cls(
            cache=receipts.cache,
            receipts=receipts,
            families=families,
            leases=LeaseStore(hurried, enders, lease=times.lease),
            cancellations=cancellations,
            suspensions=SuspensionStore(receipts),
            queue=queue,
            job_types=JobTypeStore(database),
            pulse=PulseStore(database),
            publisher=publisher,
            admissions=admissions,
            submission=Submission(receipts, queue, publisher, quotas, admissions),
            killer=Killer(receipts, cancellations, publisher),
        )
