"""The update that carries out a transition, before any server sees it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.receipts.status import TERMINAL, TRANSITIONS, IllegalTransitionError, TaskStatusEnum
from app.receipts.transition import MOMENT, NOW, Move, later, literal, touch, transition

STATUS = st.sampled_from(TaskStatusEnum)
RETENTION = timedelta(days=90)
LEGAL = [(from_, to) for from_, steps in TRANSITIONS.items() for to in steps]
# What a user could send in the hope that MongoDB takes it for code.
EXPRESSIONS = ["$status", "$$NOW", "$$ROOT", {"$literal": 1}, {"$add": [1, 2]}, ["$inputs"]]


@given(st.frozensets(STATUS), STATUS)
def test_a_move_is_made_of_legal_steps_only(from_: frozenset[TaskStatusEnum], to: Any) -> None:
    if all(to in TRANSITIONS[status] for status in from_):
        move = Move(from_, to, actor="a")
        assert set(move.guard["status"]["$in"]) == {status.value for status in from_}
    else:
        with pytest.raises(IllegalTransitionError):
            Move(from_, to, actor="a")


@given(st.sampled_from(sorted(TERMINAL)), STATUS)
def test_no_move_starts_from_a_terminal_status(from_: TaskStatusEnum, to: TaskStatusEnum) -> None:
    with pytest.raises(IllegalTransitionError):
        Move((TaskStatusEnum.PENDING, from_), to, actor="a")


@given(st.sampled_from(LEGAL))
def test_status_version_and_history_move_in_one_stage(
    step: tuple[TaskStatusEnum, TaskStatusEnum],
) -> None:
    from_, to = step
    update = transition(Move((from_,), to, actor="a"), {}, retention=RETENTION)
    assert len(update) == 1
    assert list(update[0]) == ["$set"]
    sets = update[0]["$set"]
    assert sets["status"] == to.value
    assert sets["version"] == {"$add": ["$version", 1]}
    assert sets["updated_at"] == MOMENT
    kept, added = sets["history"]["$concatArrays"]
    assert kept == "$history"
    assert len(added) == 1
    assert added[0]["from"] == "$status"
    assert added[0]["to"] == to.value


@given(st.sampled_from(LEGAL))
def test_retention_starts_at_the_end_and_only_there(
    step: tuple[TaskStatusEnum, TaskStatusEnum],
) -> None:
    from_, to = step
    sets = transition(Move((from_,), to, actor="a"), {}, retention=RETENTION)[0]["$set"]
    if to in TERMINAL:
        assert sets["ended_at"] == MOMENT
        assert sets["lease"] is None
        assert sets["expire_at"] == later(RETENTION)
    else:
        assert not {"ended_at", "lease", "expire_at"} & set(sets)


@given(st.dictionaries(st.sampled_from(["status", "history", "version", "updated_at"]), st.text()))
def test_no_further_field_overrides_the_record_of_the_move(sets: dict[str, str]) -> None:
    move = Move((TaskStatusEnum.PENDING,), TaskStatusEnum.PROCESSING, actor="a")
    made = transition(move, sets, retention=RETENTION)[0]["$set"]
    assert made == transition(move, {}, retention=RETENTION)[0]["$set"]
    touched = touch({key: sets[key] for key in sets if key not in ("status", "history")})
    assert touched == touch({})


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_words_of_people_are_never_expressions(text: Any) -> None:
    move = Move(
        (TaskStatusEnum.PROCESSING,),
        TaskStatusEnum.FAILED,
        actor=text,
        reason=text,
        worker=text,
        traceback=text,
    )
    entry = transition(move, {}, retention=RETENTION)[0]["$set"]["history"]["$concatArrays"][1][0]
    for key in ("actor", "reason", "worker", "traceback"):
        assert entry[key] == literal(text)
    # Nothing else of the entry came from outside.
    assert list(expressions(entry)) == [
        "$size",
        "$history",
        "$status",
        *expressions(MOMENT),
        "$attempt",
    ]


@given(st.timedeltas(timedelta(0), timedelta(days=3650)))
def test_later_counts_whole_milliseconds_of_the_servers_clock(delay: timedelta) -> None:
    added = later(delay)["$dateAdd"]
    assert added["startDate"] == NOW
    assert added["unit"] == "millisecond"
    assert isinstance(added["amount"], int)
    assert (
        timedelta(0) <= delay - timedelta(milliseconds=added["amount"]) < timedelta(milliseconds=1)
    )


@pytest.mark.parametrize("value", [{"$set": ["$x"]}, {}, [], [1], "$status", "$$NOW", "$"])
def test_what_may_look_like_an_expression_is_kept_as_it_is(value: object) -> None:
    assert literal(value) == {"$literal": value}
    assert literal(literal(value)) == {"$literal": {"$literal": value}}


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "", "a word", "5 $ a day"])
def test_what_cannot_look_like_one_stands_for_itself(value: object) -> None:
    assert literal(value) is value


def expressions(value: Any) -> Iterator[str]:
    """Every operator but `$add`, and every field path, outside literals."""
    if isinstance(value, str) and value.startswith("$"):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from expressions(item)
    elif isinstance(value, dict) and "$literal" not in value:
        for key, item in value.items():
            if key.startswith("$") and key != "$add":
                yield key
            yield from expressions(item)
