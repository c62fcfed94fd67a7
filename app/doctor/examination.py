"""All looks, side by side, each for so long and no longer."""

import threading
import time
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import Final

import structlog

from app.doctor.finding import Finding, fail
from app.doctor.fleet import look_at_processes, look_at_queues, look_at_sites, look_at_traces
from app.doctor.installation import look_at_installation
from app.doctor.machine import (
    look_at_folders,
    look_at_imports,
    look_at_secrets,
    look_at_servers,
)
from app.doctor.mongodb import look_at_mongodb
from app.doctor.postgres import look_at_postgres
from app.doctor.redis_server import look_at_redis
from app.doctor.subject import Subject

log = structlog.get_logger(__name__)

WITHIN_S: Final = 45.0  # above each one's own limits, which end all but a stuck name server

Look = Callable[[], list[Finding]]


def examine(subject: Subject) -> list[Finding]:
    """What there is to say of everything, in the order in which one would repair it."""
    looks: dict[str, Callable[[Subject], list[Finding]]] = {
        "secrets": look_at_secrets,
        "folders": look_at_folders,
        "embedded": look_at_servers,
        "mongodb": look_at_mongodb,
        "redis": look_at_redis,
        "postgres": look_at_postgres,
        "queues": look_at_queues,
        "workers": look_at_processes,
        "imports": look_at_imports,
        "sites": look_at_sites,
        "traces": look_at_traces,
    }
    bound = {name: _bound(look, subject) for name, look in looks.items()}
    return [*look_at_installation(), *side_by_side(bound, within_s=WITHIN_S)]


def side_by_side(looks: dict[str, Look], *, within_s: float) -> Iterable[Finding]:
    """The findings in the order of the looks; one that does not come back in time has failed."""
    until_s = time.monotonic() + within_s  # of all together: they began at once
    answers = {name: _begun(look, name) for name, look in looks.items()}
    for name, answer in answers.items():
        try:
            yield from answer.get(timeout=max(0.0, until_s - time.monotonic()))
        except Empty:
            yield fail(name, f"did not come back within {within_s:g} s", "see whether it hangs")


def _bound(look: Callable[[Subject], list[Finding]], subject: Subject) -> Look:
    return lambda: look(subject)


def _begun(look: Look, name: str) -> SimpleQueue[list[Finding]]:
    answer: SimpleQueue[list[Finding]] = SimpleQueue()

    def run() -> None:
        try:
            answer.put(look())
        # The root of a thread: whatever it is, the other looks are worth having.
        except Exception as exc:
            log.warning("doctor.look_failed", look=name, exc_info=exc)
            problem = f"could not be examined ({type(exc).__name__})"
            answer.put([fail(name, problem, "see the lines above, and report them")])

    # A daemon: one that hangs must not hold up the end of the process.
    threading.Thread(target=run, name=f"doctor-{name}", daemon=True).start()
    return answer
