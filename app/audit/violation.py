"""The rules that hold of the stores at every moment, by stable names, and what breaks one."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Rule(StrEnum):
    """What can be broken. The names are stable: scripts may look for them."""

    UNREADABLE = "unreadable"
    ILLEGAL_TRANSITION = "illegal-transition"
    TERMINAL_CHANGED = "terminal-changed"
    HISTORY_GAP = "history-gap"
    TIME_BACKWARDS = "time-backwards"
    VERSION_BEHIND = "version-behind"
    ATTEMPT_GAP = "attempt-gap"
    TOO_MANY_ATTEMPTS = "too-many-attempts"
    END_MARKS = "end-marks"
    UNASKED_STOP = "unasked-stop"
    OUTCOME_MISSING = "outcome-missing"
    TWO_LEASES = "two-leases"
    LEASE_ON_IDLE_TASK = "lease-on-idle-task"
    RUNNING_WITHOUT_LEASE = "running-without-lease"
    OVERDUE = "overdue"
    OVER_QUOTA = "over-quota"
    ORPHAN_CHILD = "orphan-child"
    CHILD_OUTLIVES_PARENT = "child-outlives-parent"
    CONCLUDED_EARLY = "concluded-early"
    CHILDREN_INCOMPLETE = "children-incomplete"
    STALE_EFFECT = "stale-effect"
    DOUBLE_EFFECT = "double-effect"
    EFFECT_WITHOUT_RECEIPT = "effect-without-receipt"
    UNTOLD = "untold"
    FORGOTTEN_DELIVERY = "forgotten-delivery"
    GAP_IN_LOG = "gap-in-log"
    COPY_AHEAD = "copy-ahead"
    COPY_DIFFERS = "copy-differs"
    COPY_WITHOUT_RECEIPT = "copy-without-receipt"
    COPY_WITHOUT_END = "copy-without-end"


PROMISES: Final[dict[Rule, str]] = {
    Rule.UNREADABLE: "What is stored has the fields that its kind has, of the right types.",
    Rule.ILLEGAL_TRANSITION: "Each step of a history stands in the table of transitions.",
    Rule.TERMINAL_CHANGED: "Nothing of a task changes once it has ended.",
    Rule.HISTORY_GAP: (
        "A history counts from 1 without a gap, each entry begins where the one before ended, "
        "and the last one ends at the task's status."
    ),
    Rule.TIME_BACKWARDS: "The times of a history never step back.",
    Rule.VERSION_BEHIND: "Each transition has made a new version of the receipt.",
    Rule.ATTEMPT_GAP: (
        "Claims count the attempts 1, 2, 3 …, each entry names the attempt that it fell in, and "
        "the receipt names the last."
    ),
    Rule.TOO_MANY_ATTEMPTS: (
        "No task has more attempts than it may, not counting those that ended without a fault."
    ),
    Rule.END_MARKS: "A task says when it ended, and when it is forgotten, if and only if it ended.",
    Rule.UNASKED_STOP: "A canceled or suspended task says who asked for that.",
    Rule.OUTCOME_MISSING: "A task that was to be canceled, and has ended, says how it came out.",
    Rule.TWO_LEASES: "No task is held twice, and no lease's token holds two tasks.",
    Rule.LEASE_ON_IDLE_TASK: "Only a running task has a lease.",
    Rule.RUNNING_WITHOUT_LEASE: "A running task has a lease, unless its children do the work.",
    Rule.OVERDUE: (
        "Nothing waits much longer than it should: lost leases are taken back, due tasks have "
        "messages, what was asked is carried out, parents whose children ended are called, and "
        "others are told of what happened."
    ),
    Rule.OVER_QUOTA: (
        "No namespace has more tasks let in at once than its quota had room for since its last "
        "change."
    ),
    Rule.ORPHAN_CHILD: "The parent of a task is there.",
    Rule.CHILD_OUTLIVES_PARENT: "The children of a task that ended end soon after it.",
    Rule.CONCLUDED_EARLY: "A task that fanned out completes after the last of its children.",
    Rule.CHILDREN_INCOMPLETE: (
        "The children of a task that fanned out count from 0 without a gap, and their units add "
        "up to its own."
    ),
    Rule.STALE_EFFECT: "What an attempt writes is written before that attempt ends.",
    Rule.DOUBLE_EFFECT: "Each effect is stored once.",
    Rule.EFFECT_WITHOUT_RECEIPT: "The task that wrote an effect lately has a receipt.",
    Rule.UNTOLD: "What happened to a task was told to others, or is found by who tells them.",
    Rule.FORGOTTEN_DELIVERY: "Somebody looks at each open delivery when it is due.",
    Rule.GAP_IN_LOG: "A delivery's log has each of its attempts, and how it ended.",
    Rule.COPY_AHEAD: "No copy in Redis is newer than the truth.",
    Rule.COPY_DIFFERS: "A copy in Redis says what the truth said at its version.",
    Rule.COPY_WITHOUT_RECEIPT: "A copy in Redis is one of a receipt.",
    Rule.COPY_WITHOUT_END: "Each copy in Redis has a time to live.",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: `subject_id` is the task, document or failure that breaks it."""

    rule: Rule
    subject_id: str
    detail: str
