"""Our own processes: workers, Beat, API and Flower, and the queues between them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import httpx
from celery import Celery
from kombu.exceptions import OperationalError
from pymongo.database import Database
from pymongo.errors import PyMongoError

from app.broker import (
    BACKLOG_QUEUES,
    CONCLUSIONS_QUEUE,
    CONTROL_QUEUE,
    HANDLERS_QUEUE,
    JOBS_QUEUE,
    QUEUES,
    WEBHOOKS_QUEUE,
    celery_configuration,
)
from app.database import Document, connect
from app.doctor.finding import Finding, fail, ok, warn
from app.doctor.subject import Subject
from app.health import BEAT_SILENT_AFTER, BEATS_MISSED
from app.receipts.publisher import Publisher
from app.receipts.pulse import Crew, PulseStore

WAIT_S: Final = 3.0
ANSWER_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Duty:
    """Queues that some worker must serve, and what does not happen without."""

    name: str
    queues: tuple[str, ...]
    consequence: str


DUTIES: Final = (
    Duty("jobs", (JOBS_QUEUE, *BACKLOG_QUEUES), "jobs do not run"),
    Duty("conclusions", (CONCLUSIONS_QUEUE,), "batches do not end"),
    Duty("control", (CONTROL_QUEUE,), "nobody kills, reaps or republishes"),
    Duty("webhooks", (WEBHOOKS_QUEUE,), "nobody is told by webhook"),
    Duty("handlers", (HANDLERS_QUEUE,), "caches and schemas stay old"),
)


def look_at_processes(subject: Subject) -> list[Finding]:
    """Who gave a sign of life lately; nothing where no database could tell."""
    settings = subject.settings
    if settings.mongo_url is None:
        return []
    try:
        database = connect(settings, role="doctor", wait_s=WAIT_S, answer_s=ANSWER_S)
        with database.client:
            return list(_heard(database, timedelta(seconds=settings.heartbeat_s) * BEATS_MISSED))
    except (PyMongoError, ValueError):
        return [fail("workers", "unknown: MongoDB does not answer", "repair that first")]


def look_at_queues(subject: Subject) -> list[Finding]:
    """How many messages wait."""
    if subject.settings.redis_url is None:
        return []
    celery = Celery("waybill-doctor", set_as_current=False)
    celery.conf.update(celery_configuration(subject.settings))
    try:
        publisher = Publisher(celery)
        depths = publisher.depths(QUEUES)
    except (OperationalError, OSError, ValueError):
        return [fail("queues", "unknown: Redis does not answer", "repair that first")]
    finally:
        celery.close()
    waiting = [f"{queue} {depth}" for queue, depth in depths.items() if depth]
    return [ok("queues", f"messages that wait: {', '.join(waiting) or 'none'}")]


def look_at_sites(subject: Subject) -> list[Finding]:
    """The API and Flower, where their ports are known."""
    sites = (("api", subject.api_url, "/v1/health"), ("flower", subject.flower_url, "/healthcheck"))
    return [_site(check, url + path) for check, url, path in sites if url is not None]


def look_at_traces(subject: Subject) -> list[Finding]:
    """Whether somebody listens where traces go to."""
    url = subject.settings.otel_endpoint
    if url is None:
        return []
    try:
        httpx.get(url, timeout=WAIT_S)  # whatever it answers to that
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        problem = f"nobody takes traces at WAYBILL_OTEL_ENDPOINT ({type(exc).__name__})"
        return [warn("traces", problem, "start the collector, or unset the variable")]
    return [ok("traces", "somebody listens at WAYBILL_OTEL_ENDPOINT")]


def _heard(database: Database[Document], within: timedelta) -> Iterator[Finding]:
    pulse = PulseStore(database)
    crews = pulse.crews(within=within)
    for duty in DUTIES:
        yield _served(duty, crews)
    age = pulse.age()
    if age is None or age > BEAT_SILENT_AFTER:
        last = "never" if age is None else f"{age.total_seconds():.0f} s ago"
        yield fail(
            "beat",
            f"its last tick was heard {last}",
            "start `celery --app workers.celery_app beat`, and a worker of the control queue",
        )
    else:
        yield ok("beat", f"its last tick was heard {age.total_seconds():.0f} s ago")


def _served(duty: Duty, crews: Mapping[str, Crew]) -> Finding:
    check = f"workers.{duty.name}"
    alone = [queue for queue in duty.queues if queue not in crews]
    if alone:
        names = ",".join(alone)
        return fail(
            check,
            f"no worker of {names} was heard lately: {duty.consequence}",
            f"start `celery --app workers.celery_app worker --queues {names}`",
        )
    crew = crews[duty.queues[0]]
    return ok(check, f"{crew.workers} heard lately, for {crew.slots} tasks at once")


def _site(check: str, url: str) -> Finding:
    try:
        # Proxies of the environment have no business on the loopback.
        with httpx.Client(timeout=WAIT_S, trust_env=False) as client:
            status = client.get(url).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        advice = "start it, or see why it does not answer in its log"
        return fail(check, f"does not answer ({type(exc).__name__})", advice)
    if status != httpx.codes.OK:
        return fail(check, f"answers {status}", "see its log")
    return ok(check, "answers")
