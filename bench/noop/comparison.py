"""No-op jobs a second, drained from a full queue by two processes: ours and plain Celery.

Ours is the job worker that `waybill up` starts, over its MongoDB and Valkey with the default
settings; a job counts once its receipt is COMPLETED in MongoDB, read with the concern `majority`.
Plain Celery has its results in the same Valkey and `task_track_started`; a job counts once its
result is there. Both have prefork 2, send events that nobody hears, and log at INFO. The queue is
filled while no worker runs; the time is that between the ends of the last job of the warm-up and of
the last job at all, by the clocks of the receipts and of the results. No control worker, no
webhooks' worker and no Beat of ours runs beside, and no run is recorded in PostgreSQL:
`bench.noop.recorded` measures the same with that.
"""

from dataclasses import dataclass, field
from typing import Final

from bench.noop.drain import Drain, drain
from bench.noop.ours import Ours
from bench.noop.place import Place, open_place
from bench.noop.plain import Plain
from bench.noop.system import System
from bench.rounds import ROUNDS, Comparison, alternate
from bench.row import Row, at_least

JOBS: Final = 3_000
REACH: Final = 0.8
UNIT: Final = "jobs/s"


@dataclass(slots=True)
class Measured:
    """The rates of both, and each drain in order."""

    comparison: Comparison
    ours: list[Drain] = field(default_factory=list)
    reference: list[Drain] = field(default_factory=list)


def compare(reference: System, place: Place, *, jobs: int = JOBS, rounds: int = ROUNDS) -> Measured:
    """Ours and the reference in turn."""
    mine = Ours.over(place)
    drains: dict[str, list[Drain]] = {mine.name: [], reference.name: []}

    def rate(system: System) -> float:
        drains[system.name].append(drain(system, place, jobs))
        return drains[system.name][-1].per_s

    found = alternate(lambda: rate(mine), lambda: rate(reference), rounds=rounds)
    return Measured(found, drains[mine.name], drains[reference.name])


def rows() -> list[Row]:
    """Against plain Celery."""
    with open_place() as place:
        found = compare(Plain.over(place), place).comparison
    return [
        at_least(
            "no-op jobs, drained from a full queue",
            found,
            reach=REACH,
            unit=UNIT,
            against="plain Celery, Redis results",
        )
    ]
