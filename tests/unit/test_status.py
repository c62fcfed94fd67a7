"""The status enum and the table of legal transitions."""

import re
from itertools import product
from pathlib import Path

import pytest

from app.receipts.status import (
    INITIAL,
    TERMINAL,
    TRANSITIONS,
    IllegalTransitionError,
    TaskStatusEnum,
    check_transition,
)

# Word for word as the first seed document names them.
SEED = {
    *("PENDING", "PROCESSING", "COMPLETED", "FAILED"),
    *("IN_PROGRESS", "CANCELED", "SKIPPED", "UNKNOWN", "DRAFT", "ACTIVE", "ARCHIVED", "SUSPENDED"),
}
# Who moves a status on, as the contract's table says: kill reaches each of these.
KILLABLE = {
    *(TaskStatusEnum.PENDING, TaskStatusEnum.PROCESSING, TaskStatusEnum.IN_PROGRESS),
    *(TaskStatusEnum.SUSPENDED, TaskStatusEnum.UNKNOWN),
}


def reachable(start: TaskStatusEnum) -> set[TaskStatusEnum]:
    seen: set[TaskStatusEnum] = set()
    waiting = [start]
    while waiting:
        status = waiting.pop()
        if status not in seen:
            seen.add(status)
            waiting += TRANSITIONS[status]
    return seen


def test_the_enum_is_the_seeds() -> None:
    assert {status.value for status in TaskStatusEnum} == SEED
    assert all(status.name == status.value for status in TaskStatusEnum)


def test_the_table_names_every_status() -> None:
    assert set(TRANSITIONS) == set(TaskStatusEnum)


def test_no_way_leads_out_of_a_terminal_status() -> None:
    assert {"COMPLETED", "FAILED", "CANCELED", "SKIPPED"} == TERMINAL
    for status in TERMINAL:
        assert TRANSITIONS[status] == frozenset()


def test_what_is_not_terminal_has_a_way_on() -> None:
    for status in set(TaskStatusEnum) - TERMINAL:
        assert TRANSITIONS[status], status


def test_no_status_leads_to_itself() -> None:
    assert all(status not in steps for status, steps in TRANSITIONS.items())


def test_every_status_is_reached_from_an_initial_one() -> None:
    assert set().union(*(reachable(status) for status in INITIAL)) == set(TaskStatusEnum)


def test_every_task_can_still_end() -> None:
    for status in reachable(TaskStatusEnum.DRAFT):
        assert reachable(status) & TERMINAL, status


def test_standing_resources_and_tasks_never_mix() -> None:
    standing = {TaskStatusEnum.ACTIVE, TaskStatusEnum.ARCHIVED}
    assert reachable(TaskStatusEnum.ACTIVE) == standing
    assert not reachable(TaskStatusEnum.DRAFT) & standing


@pytest.mark.parametrize("status", sorted(KILLABLE))
def test_kill_reaches_what_the_contract_says(status: TaskStatusEnum) -> None:
    check_transition(status, TaskStatusEnum.CANCELED)


def test_completed_is_said_only_of_what_ran() -> None:
    ran = {TaskStatusEnum.PROCESSING, TaskStatusEnum.IN_PROGRESS, TaskStatusEnum.UNKNOWN}
    came_from = {status for status in TaskStatusEnum if "COMPLETED" in TRANSITIONS[status]}
    assert came_from == ran


@pytest.mark.parametrize(("from_", "to"), list(product(TaskStatusEnum, TaskStatusEnum)))
def test_the_check_is_the_table(from_: TaskStatusEnum, to: TaskStatusEnum) -> None:
    if to in TRANSITIONS[from_]:
        check_transition(from_, to)
    else:
        with pytest.raises(IllegalTransitionError, match=f"{from_} → {to}"):
            check_transition(from_, to)


def test_the_drawing_in_the_docs_is_the_table() -> None:
    drawing = (Path(__file__).parents[2] / "docs" / "status.md").read_text()
    drawn = set(re.findall(r"^    (\w+|\[\*\]) --> (\w+|\[\*\])$", drawing, re.MULTILINE))
    steps = {(from_.value, to.value) for from_, tos in TRANSITIONS.items() for to in tos}
    starts = {("[*]", status.value) for status in INITIAL}
    ends = {(status.value, "[*]") for status in TERMINAL}
    assert drawn == steps | starts | ends
