"""One chaos run: start everything, load it and disturb it, let it drain, reckon."""

import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.chaos.cluster import Cluster
from tests.chaos.desk import Desk
from tests.chaos.drain import Drain
from tests.chaos.errand import Doors
from tests.chaos.leftover import end_leftovers
from tests.chaos.load import Producer
from tests.chaos.observer import Observer
from tests.chaos.proxy import Proxy
from tests.chaos.report import table
from tests.chaos.saboteur import Injury, Saboteur
from tests.chaos.schedule import schedule
from tests.chaos.stored import Stored
from tests.chaos.tally import Tally
from tests.chaos.timing import Timing
from tests.chaos.verdict import judge

PRODUCERS: Final = 4
QUOTAS: Final = {3: 1, 4: 3}  # running tasks in a producer's namespace; each has eight open
LOOK_EVERY_S: Final = 0.05
SAY_EVERY_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do; the same plan brings the same faults at the same times."""

    seed: int
    minutes: float
    timing: Timing
    keep: bool = False


class Run:
    """Call `go` once; whatever happens, no process is left after it."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self._plan, self._say = plan, say
        self._tally = Tally()
        self._injuries: list[Injury] = []
        self._stop, self._give_up = threading.Event(), threading.Event()
        self._producers: list[Producer] = []

    def go(self) -> list[str]:
        """The findings, each a sentence; none means that the run was without a violation."""
        folder = Path(tempfile.mkdtemp(prefix="waybill-chaos-"))
        self._say(f"seed {self._plan.seed}, {self._plan.minutes:g} minutes, folder {folder}")
        is_over = False
        try:
            with _cluster(folder, self._plan.timing) as cluster:
                self._go(cluster)
            is_over = True
        finally:
            self._stop.set()
            self._give_up.set()
            for pid in end_leftovers(folder):
                self._tally.find(f"process {pid} was left after everything was ended")
            for finding in self._tally.findings:
                self._say(f"VIOLATION {finding}")
            if is_over and not self._tally.findings and not self._plan.keep:
                shutil.rmtree(folder, ignore_errors=True)
            else:
                self._say(f"Logs and data lie in {folder}")
        return self._tally.findings

    def _go(self, cluster: Cluster) -> None:
        with closing(Observer(cluster)) as observer:
            observer.start_all()
            self._employ(cluster, observer)
            self._disturb(cluster)
            self._reckon(cluster, observer)

    def _reckon(self, cluster: Cluster, observer: Observer) -> None:
        Drain(cluster, observer, self._tally, self._producers, self._say).wait()
        self._give_up.set()
        stored = Stored.read(observer.database)
        for finding in (*judge(stored, self._tally), *observer.violations()):
            self._tally.find(finding)
        for line in table(list(stored.receipts.values()), self._injuries, self._tally, cluster):
            self._say(line)

    def _employ(self, cluster: Cluster, observer: Observer) -> None:
        rng = random.Random(self._plan.seed)
        for number in range(1, PRODUCERS + 1):
            own = random.Random(rng.random())
            name = f"chaos-{number}"
            shop = observer.open_shop(name, max_running=QUOTAS.get(number))
            doors = Doors(cluster.doors, cluster.api_key, name, self._tally, own)
            desk = Desk(number, shop, doors, self._tally, own)
            self._producers.append(Producer(desk, stop=self._stop, give_up=self._give_up))
        for producer in self._producers:
            producer.start()

    def _disturb(self, cluster: Cluster) -> None:
        plan, saboteur = self._plan, Saboteur(cluster)
        left = schedule(plan.seed, minutes=plan.minutes, lease_s=plan.timing.lease_s)
        began_s = said_s = time.monotonic()
        while (now_s := time.monotonic() - began_s) < plan.minutes * 60:
            cluster.tick()
            saboteur.tick()
            if left and left[0].at_s <= now_s:
                injury = saboteur.strike(left.pop(0))
                self._injuries.append(injury)
                self._say(_line(injury))
            if time.monotonic() - said_s > SAY_EVERY_S:
                said_s = time.monotonic()
                self._say(
                    f"{now_s:7.1f} s  {len(self._tally.accepted)} tasks accepted, "
                    f"{len(self._tally.ended)} read as ended"
                )
                for name, age_s in cluster.old_orphans():
                    self._tally.find(f"{name}: children outlive their parent by {age_s:.0f} s")
            self._stop.wait(LOOK_EVERY_S)
        saboteur.heal()
        self._stop.set()


def _line(injury: Injury) -> str:
    fault = injury.fault
    lasting = f"for {fault.duration_s:.1f} s" if fault.duration_s else ""
    return f"{fault.at_s:7.1f} s  {fault.kind:<16} {injury.member:<18} {lasting} {injury.note}"


@contextmanager
def _cluster(folder: Path, timing: Timing) -> Iterator[Cluster]:
    proxy = Proxy()
    try:
        cluster = Cluster(folder, proxy, timing)
        try:
            yield cluster
        finally:
            cluster.end()
    finally:
        proxy.close()
