"""What one receipt shows by itself: it is read at one moment, so a breach is certain at once."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from app.audit import ending, history, lease, telling
from app.audit.violation import Rule
from app.database import Document

_RULES: Final[Sequence[tuple[Rule, Callable[[Document], str | None]]]] = (
    (Rule.ILLEGAL_TRANSITION, history.illegal_step),
    (Rule.TERMINAL_CHANGED, history.changed_end),
    (Rule.HISTORY_GAP, history.gap),
    (Rule.TIME_BACKWARDS, history.step_back),
    (Rule.VERSION_BEHIND, history.version_behind),
    (Rule.ATTEMPT_GAP, history.attempt_gap),
    (Rule.TOO_MANY_ATTEMPTS, history.excess_attempt),
    (Rule.END_MARKS, ending.end_marks),
    (Rule.UNASKED_STOP, ending.unasked_stop),
    (Rule.OUTCOME_MISSING, ending.missing_outcome),
    (Rule.TWO_LEASES, lease.second_holder),
    (Rule.LEASE_ON_IDLE_TASK, lease.idle_lease),
    (Rule.RUNNING_WITHOUT_LEASE, lease.missing_lease),
    (Rule.UNTOLD, telling.untold),
)


def breaches(receipt: Document) -> Iterator[tuple[Rule, str]]:
    """Each rule that a readable receipt breaks, with how."""
    for rule, breach in _RULES:
        detail = breach(receipt)
        if detail is not None:
            yield rule, detail
