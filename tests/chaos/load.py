"""A producer: a thread that orders and meddles, with a random stream of its own."""

import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Final

from tests.chaos import meddling, ordering
from tests.chaos.desk import Desk

OPEN_TASKS: Final = 8
PAUSE_S: Final = (0.05, 0.25)
MEDDLING: Final = 0.08  # of the turns in which enough is open

Action = Callable[[Desk], None]

ORDERS: Final[Mapping[Action, int]] = {
    ordering.submit: 50,
    ordering.process: 8,
    ordering.kill_many: 4,
}
MEDDLINGS: Final[Mapping[Action, int]] = {
    meddling.kill: 12,
    meddling.cancel: 2,
    meddling.suspend: 8,
    meddling.resume: 8,
}


class Producer:
    """Works until `stop`, then settles what is unclear until `give_up`."""

    def __init__(self, desk: Desk, *, stop: threading.Event, give_up: threading.Event) -> None:
        self._desk = desk
        self._name = f"producer-{desk.number}"
        self._stop, self._give_up = stop, give_up
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)

    @property
    def unsettled(self) -> int:
        """Requests whose answers are not clear yet."""
        return len(self._desk.errands)

    @property
    def is_at_work(self) -> bool:
        """Whether it makes, or settles, requests."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except Exception:  # noqa: BLE001 # the root of a thread: whatever it is, it is a finding
            self._desk.tally.find(f"{self._name} broke:\n{traceback.format_exc()}")
        finally:
            self._desk.doors.close()

    def _work(self) -> None:
        desk = self._desk
        while not self._stop.wait(desk.rng.uniform(*PAUSE_S)):
            desk.run_errands()
            desk.look()
            if len(desk.open) + len(desk.errands) < OPEN_TASKS:
                self._do_one_of(ORDERS)
            elif desk.rng.random() < MEDDLING:
                self._do_one_of(MEDDLINGS)
        while desk.errands and not self._give_up.wait(PAUSE_S[1]):
            desk.run_errands()

    def _do_one_of(self, actions: Mapping[Action, int]) -> None:
        (chosen,) = self._desk.rng.choices(list(actions), list(actions.values()))
        chosen(self._desk)
