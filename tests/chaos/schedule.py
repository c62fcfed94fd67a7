"""The faults of a run: a pure function of its seed, so that a run can be repeated."""

import random
from dataclasses import dataclass
from typing import Final

from tests.chaos.fault import Fault, FaultKind

GAP_S: Final = (0.6, 1.4)  # a fault every second or so
MAX_TARGET: Final = 2**16


@dataclass(frozen=True, slots=True)
class Habit:
    """How often a kind comes, against the others, and for how many seconds, least and most.

    `leases` adds to the most: a freeze up to twice a lease outlasts it, or does not.
    """

    weight: float
    least_s: float
    most_s: float
    leases: float = 0.0


_K = FaultKind

HABITS: Final[dict[FaultKind, Habit]] = {
    _K.CHILD_KILL: Habit(8, 0, 0),
    _K.CHILD_FREEZE: Habit(5, 0.5, 0, leases=2),
    _K.WORKER_KILL: Habit(4, 0.2, 1),
    _K.WORKER_FREEZE: Habit(4, 0.5, 0, leases=2),
    _K.WORKER_TERM: Habit(2, 0.2, 1),
    _K.PARENT_KILL: Habit(3, 0.2, 1),
    _K.PARENT_FREEZE: Habit(3, 0.5, 0, leases=2),
    _K.CONTROL_KILL: Habit(2, 0.2, 1),
    _K.CONTROL_FREEZE: Habit(2, 0.5, 5),
    _K.BEAT_KILL: Habit(3, 0.2, 1),
    _K.BEAT_FREEZE: Habit(2, 0.5, 5),
    _K.API_KILL: Habit(3, 0.2, 1),
    _K.API_FREEZE: Habit(3, 0.5, 5),
    _K.VALKEY_RESTART: Habit(2, 0.1, 2),
    _K.VALKEY_EMPTY: Habit(2, 0.1, 2),
    _K.VALKEY_FREEZE: Habit(2, 0.5, 5),
    _K.VALKEY_FLUSH: Habit(3, 0, 0),
    _K.MONGO_KILL: Habit(2, 0.1, 3),
    _K.MONGO_FREEZE: Habit(1, 0.5, 3),
    _K.MONGO_STEP_DOWN: Habit(2, 1, 3),
    _K.LINK_DELAY: Habit(4, 1, 5),
    _K.LINK_RESET: Habit(6, 0, 0),
    _K.LINK_CLOSE: Habit(4, 0, 0),
    _K.LINK_DEAF: Habit(4, 1, 8),
    _K.LINK_MUTE: Habit(4, 1, 8),
}

# Seconds before the same server, or the same kind of process, is hit again: each is to come back
# to work in between, or nothing would be left to disturb.
REST_S: Final = {"mongo": 12.0, "valkey": 6.0, "control": 15.0, "worker": 4.0, "parent": 6.0}


def schedule(seed: int, *, minutes: float, lease_s: float) -> list[Fault]:
    """The faults in the order of their times, all within so many minutes; the same each time."""
    rng = random.Random(seed)
    kinds, weights = list(HABITS), [habit.weight for habit in HABITS.values()]
    rested_at_s: dict[str, float] = {}
    faults: list[Fault] = []
    at_s = rng.uniform(*GAP_S)
    while at_s < minutes * 60:
        (kind,) = rng.choices(kinds, weights)
        if at_s >= rested_at_s.get(kind.whom, 0.0):
            habit = HABITS[kind]
            duration_s = rng.uniform(habit.least_s, habit.most_s + habit.leases * lease_s)
            faults.append(
                Fault(round(at_s, 3), kind, rng.randrange(MAX_TARGET), round(duration_s, 3))
            )
            rested_at_s[kind.whom] = at_s + REST_S.get(kind.whom, 0.0)
            at_s += rng.uniform(*GAP_S)
    return faults
