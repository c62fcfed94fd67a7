"""The one status enum and the one table of legal transitions; docs/status.md draws it."""

from enum import StrEnum
from typing import Final


class TaskStatusEnum(StrEnum):
    """Where a task or a resource stands. The values are those of the first seed document."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    SKIPPED = "SKIPPED"
    UNKNOWN = "UNKNOWN"
    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    ARCHIVED = "ARCHIVED"
    SUSPENDED = "SUSPENDED"


_S = TaskStatusEnum

TERMINAL: Final = frozenset({_S.COMPLETED, _S.FAILED, _S.CANCELED, _S.SKIPPED})
TERMINAL_VALUES: Final = sorted(status.value for status in TERMINAL)

INITIAL: Final = frozenset({_S.DRAFT, _S.PENDING, _S.ACTIVE})

TRANSITIONS: Final[dict[TaskStatusEnum, frozenset[TaskStatusEnum]]] = {
    _S.DRAFT: frozenset({_S.PENDING, _S.CANCELED}),
    _S.PENDING: frozenset(
        {_S.PROCESSING, _S.IN_PROGRESS, _S.SUSPENDED, _S.FAILED, _S.CANCELED, _S.SKIPPED}
    ),
    _S.PROCESSING: frozenset({_S.PENDING, _S.SUSPENDED, *TERMINAL}),
    _S.IN_PROGRESS: frozenset({_S.UNKNOWN, *TERMINAL}),
    _S.SUSPENDED: frozenset({_S.PENDING, _S.CANCELED}),
    _S.UNKNOWN: frozenset({_S.IN_PROGRESS, *TERMINAL}),
    _S.ACTIVE: frozenset({_S.ARCHIVED}),
    _S.ARCHIVED: frozenset({_S.ACTIVE}),
    **{status: frozenset() for status in TERMINAL},
}


class IllegalTransitionError(Exception):
    """The code asked for a transition that the table does not have: a defect, never a lost race."""


def check_transition(from_: TaskStatusEnum, to: TaskStatusEnum) -> None:
    """Raises `IllegalTransitionError` unless the table has the step `from_` → `to`."""
    if to not in TRANSITIONS[from_]:
        raise IllegalTransitionError(f"{from_} → {to} is not a legal transition")
