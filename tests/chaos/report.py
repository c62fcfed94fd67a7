"""The table at the end of a run."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from app.database import Document
from tests.chaos.cluster import Cluster
from tests.chaos.measure import kill_times, recoveries, spread
from tests.chaos.saboteur import Injury
from tests.chaos.tally import Tally


def table(
    receipts: Sequence[Document],
    injuries: Sequence[Injury],
    tally: Tally,
    cluster: Cluster,
) -> Iterator[str]:
    """Its lines: faults, jobs, answers, and how long kills and recoveries took."""
    yield "Faults"
    for kind, count in sorted(Counter(injury.fault.kind for injury in injuries).items()):
        yield f"  {kind:<18}{count:5d}"
    yield f"  {'all':<18}{len(injuries):5d}"
    yield "Jobs, by how they ended (parts of others included)"
    ends: dict[str, Counter[str]] = defaultdict(Counter)
    for receipt in receipts:
        ends[receipt["task_type"]][receipt["status"]] += 1
    for task_type, by_status in sorted(ends.items()):
        parts = "  ".join(f"{status} {count}" for status, count in sorted(by_status.items()))
        yield f"  {task_type:<36}{parts}"
    attempts = Counter(min(receipt["attempt"], 5) for receipt in receipts)
    shown = "  ".join(
        f"{n}{'+' if n == 5 else ''}: {count}" for n, count in sorted(attempts.items())
    )
    yield f"  attempts made    {shown}"
    answers = "  ".join(f"{answer} {count}" for answer, count in sorted(tally.answers.items()))
    yield f"Answers            {answers}"
    yield f"Accepted           {len(tally.accepted)}, kills accepted {len(tally.killed)}"
    yield "Kill → CANCELED, of jobs that ran"
    yield f"  looking          {spread(kill_times(receipts, blind=False))}"
    yield f"  blind            {spread(kill_times(receipts, blind=True))}"
    yield "Crash or freeze of a worker → its task PENDING, → PROCESSING again"
    found = list(recoveries(receipts, injuries, cluster.nodes, cluster.timing))
    for name in (*sorted({recovery.kind.value for recovery in found}), "all"):
        of_kind = [each for each in found if name in ("all", each.kind)]
        yield f"  {name:<17}{spread([(each.back_s, each.task_id) for each in of_kind])}"
        yield f"  {'':<17}{spread([(each.again_s, each.task_id) for each in of_kind])}"
    members = list(cluster.members.values())
    lives = [(life, member.name) for member in members for life in member.orphan_lives_s]
    yield f"  {'orphans lived':<17}{spread(lives)}"
    own = [f"{member.name} {member.own_ends}" for member in members if member.own_ends]
    yield f"Ended by themselves, with exit codes: {', '.join(own) or 'none'}"
    slow = {member.name: member.slow_stops for member in members if member.slow_stops}
    yield f"Warm shutdowns cut short: {slow or 'none'}"
