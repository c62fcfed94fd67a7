"""What one producer has before it: its shop, what it asked for and what is open."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from tests.acceptance.shop import Shop
from tests.chaos.errand import AGAIN_AFTER_S, Doors, Errand
from tests.chaos.tally import Tally

ERRANDS_PER_TURN: Final = 3
# Answers to a call that came too late: the task has ended, or has gone on.
GONE_ON: Final = frozenset({400, 409})

Json = dict[str, Any]


@dataclass(slots=True)
class Desk:
    """For one producer's thread."""

    number: int
    shop: Shop
    doors: Doors
    tally: Tally
    rng: random.Random
    open: list[str] = field(default_factory=list)  # ids of tasks that were not seen to end
    suspended: list[str] = field(default_factory=list)
    batches: dict[str, str] = field(default_factory=dict)  # paths by task id
    errands: list[Errand] = field(default_factory=list)
    _made: int = 0

    def label(self, what: str) -> str:
        """A name that nothing else in the run has."""
        self._made += 1
        return f"{what}-{self.number}-{self._made}"

    def send(
        self,
        path: str,
        body: object,
        then: Callable[[Json], None],
        *,
        key: str | None = None,
        declined: frozenset[int] = frozenset(),
    ) -> None:
        """Puts a POST on the list; `then` gets the answer, once there is a clear one."""
        self.errands.append(Errand(path, body, then, key=key, declined=declined))

    def accept(self, task_id: str, tag: str) -> None:
        """An answer named the task of that order."""
        self.tally.accept(task_id, tag)
        self.open.append(task_id)

    def run_errands(self) -> None:
        """Tries those that are due, a few of them."""
        now_s = time.monotonic()
        due = [errand for errand in self.errands if errand.due_at_s <= now_s]
        for errand in due[:ERRANDS_PER_TURN]:
            if self.doors.run(errand):
                self.errands.remove(errand)
            else:
                errand.due_at_s = time.monotonic() + AGAIN_AFTER_S

    def look(self) -> None:
        """Reads one open task, and forgets it once it has ended."""
        if self.open:
            path = f"/v1/tasks/{self.rng.choice(self.open)}"
            read = partial(self._read, asked_s=time.monotonic())
            self.doors.run(Errand(path, None, read, method="GET"))

    def _read(self, task: Json, *, asked_s: float) -> None:
        if self.tally.read(task["task_id"], task["status"], asked_s=asked_s):
            self.open.remove(task["task_id"])
