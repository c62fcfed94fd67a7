"""What each place has to do for one task, from the measured costs."""

from dataclasses import dataclass
from typing import Self

from bench.cost import Costs, Step
from bench.meter import CHILDREN, CLIENT, PARENT


@dataclass(frozen=True, slots=True)
class Demand:
    """CPU of one task in ms, by place and by part of its life.

    `aside` is what others do about it, and the task does not wait for: Flower, the dispatcher of
    webhooks, the control worker, PostgreSQL.
    """

    client: float
    api: float
    mongo_submit: float
    redis_submit: float
    aside_submit: float
    parent: float
    child: float
    mongo_run: float
    redis_run: float
    aside_run: float
    commit: float

    @classmethod
    def of(cls, costs: Costs, *, in_bulk: bool) -> Self:
        """The demand of a task that comes in a call of its own, or with a thousand others."""
        submit, run = costs.bulk if in_bulk else costs.single, costs.run
        return cls(
            client=submit.cpu_ms[CLIENT],
            api=submit.cpu_ms["api"],
            mongo_submit=submit.cpu_ms["mongo"],
            redis_submit=submit.cpu_ms["redis"],
            aside_submit=_aside(submit, CLIENT, "api", "mongo", "redis"),
            parent=run.cpu_ms[PARENT],
            child=run.cpu_ms[CHILDREN],
            mongo_run=run.cpu_ms["mongo"],
            redis_run=run.cpu_ms["redis"],
            aside_run=_aside(run, CLIENT, PARENT, CHILDREN, "mongo", "redis"),
            commit=costs.commit_wait_ms,
        )

    @property
    def mongo(self) -> float:
        """MongoDB's part of a task's whole life."""
        return self.mongo_submit + self.mongo_run

    @property
    def redis(self) -> float:
        """Redis's part of a task's whole life."""
        return self.redis_submit + self.redis_run


def _aside(step: Step, *places: str) -> float:
    return sum(ms for role, ms in step.cpu_ms.items() if role not in places)
