"""How long things took, read from the receipts after a run; pure arithmetic."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Final

from app.database import Document
from tests.chaos.fault import FaultKind
from tests.chaos.jobs import BLIND
from tests.chaos.saboteur import Injury
from tests.chaos.timing import Timing

K = FaultKind

LOSING: Final = frozenset(
    {K.CHILD_KILL, K.WORKER_KILL, K.WORKER_FREEZE, K.WORKER_TERM, K.PARENT_KILL, K.PARENT_FREEZE}
)

START_SLACK: Final = timedelta(seconds=1)  # a fault in the middle of a claim
RENEWAL_SLACK_S: Final = 0.5  # a lease that was last renewed so much earlier than it should be


@dataclass(frozen=True, slots=True)
class Recovery:
    """From a fault that cost a worker its lease: to PENDING, and to the task's next attempt."""

    kind: FaultKind
    task_id: str
    back_s: float
    again_s: float


def recoveries(
    receipts: Iterable[Document],
    injuries: Sequence[Injury],
    nodes: Mapping[str, str],
    timing: Timing,
) -> Iterator[Recovery]:
    """One for each lease that the reaper ended after a fault on its worker.

    `nodes` names the Celery node of each member.
    """
    least_s = timing.lease_s - timing.heartbeat_s - RENEWAL_SLACK_S
    members = {node: member for member, node in nodes.items()}
    for receipt in receipts:
        history = receipt["history"]
        for claim, loss, again in zip(history, history[1:], history[2:], strict=False):
            steps = (claim["to"], loss["to"], again["to"])
            if steps != ("PROCESSING", "PENDING", "PROCESSING") or loss["actor"] != "reaper":
                continue
            member = members.get(str(claim["worker"]).split("@")[0], "")
            hit = _cause(injuries, member, claim["at"], loss["at"], least_s)
            if hit is not None:
                back_s, again_s = ((step["at"] - hit.at).total_seconds() for step in (loss, again))
                yield Recovery(hit.fault.kind, receipt["_id"], back_s, again_s)


def _cause(
    injuries: Sequence[Injury], member: str, begun_at: datetime, lost_at: datetime, least_s: float
) -> Injury | None:
    """The last fault of that worker during the attempt that came early enough to be the cause."""
    hits = [
        injury
        for injury in injuries
        if injury.member == member
        and injury.fault.kind in LOSING
        and begun_at - START_SLACK <= injury.at <= lost_at - timedelta(seconds=least_s)
    ]
    return hits[-1] if hits else None


def kill_times(receipts: Iterable[Document], *, blind: bool) -> list[tuple[float, str]]:
    """Seconds from the request to CANCELED, and the task, of jobs that ran when it came."""
    times = []
    for receipt in receipts:
        asked = receipt["cancellation"]
        if asked is None or receipt["status"] != "CANCELED" or receipt["fan_out"] is not None:
            continue
        if (receipt["task_type"] == BLIND) == blind and _ran(receipt, asked["requested_at"]):
            seconds = (receipt["ended_at"] - asked["requested_at"]).total_seconds()
            times.append((seconds, receipt["_id"]))
    return times


def _ran(receipt: Document, at: datetime) -> bool:
    return any(
        before["to"] == "PROCESSING" and before["at"] <= at <= after["at"]
        for before, after in pairwise(receipt["history"])
    )


def spread(times: Sequence[tuple[float, str]]) -> str:
    """How many, the median, and the worst with its task."""
    if not times:
        return "none"
    worst_s, task_id = max(times)
    middle_s = median(seconds for seconds, _ in times)
    return f"{len(times):4d}   median {middle_s:6.1f} s   worst {worst_s:6.1f} s  {task_id}"
