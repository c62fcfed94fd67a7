"""No-op jobs a second of dramatiq, taskiq, huey and RQ, and ours beside them.

Each has two worker processes, its results kept, and otherwise what its documentation recommends,
all over the same Valkey; ours is measured as against plain Celery. Queues are filled while no
worker runs; a job of theirs ends when its own code says so, and counts once its result can be read.
They take turns, the first round counts for nothing, and three rounds suffice where nothing is to be
reached. RQ forks for each job, so it gets fewer.
"""

from typing import Final

from bench.noop.comparison import UNIT
from bench.noop.drain import drain
from bench.noop.other import others
from bench.noop.ours import Ours
from bench.noop.place import open_place
from bench.noop.system import System
from bench.rounds import Comparison
from bench.row import Row, beside

ROUNDS: Final = 3
JOBS: Final = 1_500
WARM_UP: Final = 300
FEWER: Final = {"RQ": (200, 50)}  # jobs, and of the warm-up


def rows(rounds: int = ROUNDS) -> list[Row]:
    """One row a system."""
    with open_place() as place:
        mine: System = Ours.over(place)
        systems: list[System] = [mine, *others(place)]
        rates: dict[str, list[float]] = {system.name: [] for system in systems}
        for number in range(rounds + 1):
            first = number % len(systems)
            for system in [*systems[first:], *systems[:first]]:
                jobs, warm_up = FEWER.get(system.name, (JOBS, WARM_UP))
                rate = drain(system, place, jobs, warm_up=warm_up).per_s
                rates[system.name].append(rate)
    return [
        beside(
            "no-op jobs, beside",
            Comparison(tuple(rates[mine.name][1:]), tuple(rates[system.name][1:])),
            unit=UNIT,
            against=system.name,
        )
        for system in systems[1:]
    ]
