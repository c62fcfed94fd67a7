"""The same as `bench.noop.comparison` with each run of ours recorded in PostgreSQL, as `waybill up`
does; three rounds of fewer jobs, since nothing is to be reached.
"""

from typing import Final

from bench.noop.comparison import UNIT, compare
from bench.noop.place import open_place
from bench.noop.plain import Plain
from bench.row import Row, beside

JOBS: Final = 1_500
ROUNDS: Final = 3


def rows() -> list[Row]:
    """Against plain Celery."""
    with open_place(with_runs=True) as place:
        found = compare(Plain.over(place), place, jobs=JOBS, rounds=ROUNDS).comparison
    return [
        beside(
            "the same, each run recorded in PostgreSQL, too",
            found,
            unit=UNIT,
            against="plain Celery, Redis results",
        )
    ]
