"""Carries faults out on the cluster, and undoes what lasts."""

import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

import psutil

from tests.chaos.cluster import Cluster
from tests.chaos.fault import Fault, FaultKind
from tests.chaos.link import Link, Way
from tests.chaos.member import Member
from tests.chaos.outage import flush, forget, step_down

DELAY_S: Final = 0.05  # of each piece of data; a transaction has half a dozen

K = FaultKind
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Injury:
    """A fault that was carried out: when, and on whom; `note` says what came of it."""

    fault: Fault
    at: datetime
    member: str
    note: str


class Saboteur:
    """For the thread that supervises the cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._undo: list[tuple[float, Callable[[], None]]] = []

    def strike(self, fault: Fault) -> Injury:
        """Carries the fault out now; never waits for long."""
        at = datetime.now(UTC)
        whom, note = self._strike(fault)
        return Injury(fault, at, whom, note)

    def tick(self) -> None:
        """Undoes what has lasted long enough."""
        now_s = time.monotonic()
        due = [undo for at_s, undo in self._undo if at_s <= now_s]
        self._undo = [(at_s, undo) for at_s, undo in self._undo if at_s > now_s]
        for undo in due:
            undo()

    def heal(self) -> None:
        """Undoes everything: no process is frozen and no link is slow or dead afterwards."""
        undone, self._undo = self._undo, []
        for _, undo in undone:
            undo()

    def _strike(self, fault: Fault) -> tuple[str, str]:
        members = self._cluster.members
        match fault.kind.whom:
            case "child":
                return self._strike_child(fault)
            case "link":
                return self._strike_link(fault)
            case "worker" | "control" | "beat" | "api" as role:
                return self._strike_member(fault, _pick(self._cluster.of(role), fault.target))
            case "parent":
                return self._strike_member(fault, _pick(self._cluster.of("worker"), fault.target))
            case "mongo" | "valkey" as server:
                return self._strike_server(fault, members[server])
        raise AssertionError(f"nobody is called {fault.kind.whom}")

    def _strike_child(self, fault: Fault) -> tuple[str, str]:
        worker = _pick(self._cluster.of("worker"), fault.target)
        children = worker.children()
        if not children:
            return worker.name, "has no children now"
        child = _pick(children, fault.target // 3)
        if fault.kind is K.CHILD_KILL:
            _send(child, signal.SIGKILL)
        else:
            self._freeze([child], fault.duration_s)
        return worker.name, f"pid {child.pid}"

    def _strike_member(self, fault: Fault, member: Member) -> tuple[str, str]:
        match fault.kind:
            case K.WORKER_KILL | K.CONTROL_KILL | K.BEAT_KILL | K.API_KILL:
                member.kill(down_s=fault.duration_s)
            case K.PARENT_KILL:
                member.kill_parent(down_s=fault.duration_s)
            case K.WORKER_TERM:
                member.terminate(down_s=fault.duration_s)
            case K.PARENT_FREEZE:
                self._freeze(member.processes()[:1], fault.duration_s)
            case _:
                self._freeze(member.processes(), fault.duration_s)
        return member.name, ""

    def _strike_server(self, fault: Fault, member: Member) -> tuple[str, str]:
        note = ""
        match fault.kind:
            case K.MONGO_KILL | K.VALKEY_RESTART:
                member.kill(down_s=fault.duration_s)
            case K.VALKEY_EMPTY:
                member.kill(down_s=fault.duration_s)
                forget(self._cluster.valkey_folder)
            case K.VALKEY_FLUSH:
                note = flush(self._cluster.valkey.url)
            case K.MONGO_STEP_DOWN:
                note = step_down(self._cluster.mongo.url, for_s=fault.duration_s)
            case _:
                self._freeze(member.processes(), fault.duration_s)
        return member.name, note

    def _strike_link(self, fault: Fault) -> tuple[str, str]:
        link = _pick(self._cluster.links, fault.target)
        note = f"{link.connections} connections"
        match fault.kind:
            case K.LINK_DELAY:
                link.delay(DELAY_S)
                self._later(fault.duration_s, lambda: link.delay(0.0))
            case K.LINK_RESET:
                link.cut(reset=True)
            case K.LINK_CLOSE:
                link.cut(reset=False)
            case K.LINK_DEAF | K.LINK_MUTE:
                self._hush(link, fault)
        return link.name, note

    def _hush(self, link: Link, fault: Fault) -> None:
        link.hush(Way.UP if fault.kind is K.LINK_DEAF else Way.DOWN)
        self._later(fault.duration_s, lambda: link.cut(reset=True))

    def _freeze(self, processes: Sequence[psutil.Process], duration_s: float) -> None:
        for process in processes:
            _send(process, signal.SIGSTOP)

        def thaw() -> None:
            for process in processes:
                _send(process, signal.SIGCONT)

        self._later(duration_s, thaw)

    def _later(self, duration_s: float, undo: Callable[[], None]) -> None:
        self._undo.append((time.monotonic() + duration_s, undo))


def _pick(among: Sequence[T], target: int) -> T:
    return among[target % len(among)]


def _send(process: psutil.Process, number: signal.Signals) -> None:
    """Safe against numbers that were given to others meanwhile: psutil compares start times."""
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)
