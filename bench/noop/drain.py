"""One round: a queue is filled, a worker starts, and the jobs' own ends say how fast it was."""

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event
from typing import Final

import psutil

from bench.noop.place import Place
from bench.noop.system import System
from tests.polling import poll

WARM_UP: Final = 500  # jobs at each worker's beginning, which count for nothing
LOOK_EVERY_S: Final = 0.2
RESULTS_WITHIN_S: Final = 60.0
SLOWEST_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Drain:
    """Jobs a second after the warm-up, and the CPU that each took by role (ms)."""

    per_s: float
    cpu_ms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Look:
    waiting: int
    cpu_s: Mapping[str, float]


def drain(system: System, place: Place, count: int, *, warm_up: int = WARM_UP) -> Drain:
    """`AssertionError` where a result is missing or wrong."""
    system.clear()
    total = count + warm_up
    system.fill(total)
    with system.worker() as parent:
        looks = _watch(system, place, parent)
        ends = poll(
            lambda: found if len(found := system.ended()) >= total else None,
            description=f"all {total:,} results of {system.name} are there",
            within_s=RESULTS_WITHIN_S,
        )
    if len(ends) != total:
        raise AssertionError(f"{system.name} has {len(ends):,} results of {total:,} jobs")
    ordered = sorted(ends)
    return Drain(count / (ordered[-1] - ordered[warm_up - 1]), _cpu_ms(looks, count))


def _watch(system: System, place: Place, parent: psutil.Process) -> list[_Look]:
    """Looks at the queue and the processes until the queue is empty."""
    servers, looks, pause = place.servers(), list[_Look](), Event()
    for _ in range(int(SLOWEST_S / LOOK_EVERY_S)):
        looks.append(_Look(system.waiting(), _cpu_s(parent, servers)))
        if looks[-1].waiting == 0:
            return looks
        pause.wait(LOOK_EVERY_S)
    raise AssertionError(f"{system.name} has not drained its queue within {SLOWEST_S:g} s")


def _cpu_s(parent: psutil.Process, servers: Mapping[str, psutil.Process]) -> dict[str, float]:
    """Seconds of CPU so far, by role; a process that has ended counts with its parent."""
    spent = {role: _spent_s([process]) for role, process in servers.items()}
    children = parent.children(recursive=True)
    return {**spent, "parent": _spent_s([parent]), "children": _spent_s(children)}


def _spent_s(processes: list[psutil.Process]) -> float:
    total_s = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total_s += times.user + times.system
        total_s += times.children_user + times.children_system
    return total_s


def _cpu_ms(looks: list[_Look], count: int) -> dict[str, float]:
    """Between the first look after the warm-up and the last one at a queue that was not empty."""
    busy = [look for look in looks if 0 < look.waiting <= count]
    if len(busy) < 2:
        return {}
    first, last = busy[0], busy[-1]
    jobs = first.waiting - last.waiting
    return {role: 1_000 * (last.cpu_s[role] - first.cpu_s[role]) / jobs for role in last.cpu_s}
