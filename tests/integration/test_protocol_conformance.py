"""The model of the protocol does what the stores do, so what is proved of it is true of them."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.database import Database

from app.database import Document
from app.receipts.ledger import Ledger
from tests.integration.receipts import opened
from tests.protocol.bound import ANSWERS, EFFECTS, HANGS, KILLS, PAUSED_KILLS, PAUSES
from tests.protocol.explore import explore, steps_from
from tests.protocol.protocol import Protocol, Step
from tests.protocol.replay import Replay

# A lease runs out where the model says so, and never because the machine is slow.
A_DAY = timedelta(days=1)

ALL_AT_ONCE = Protocol(
    "all at once",
    steps=2,
    max_returns=2,
    most_messages=2,
    kills=True,
    stumbles=True,
    loses_answers=True,
)


@pytest.fixture
def ledger(database: Database[Document], redis_url: str) -> Iterator[Ledger]:
    with opened(database, redis_url, lease=A_DAY) as ledger:
        yield ledger


def writes(protocol: Protocol) -> list[list[Step]]:
    """A shortest way to each update in each situation of the receipt that it can meet."""
    found = explore(protocol)
    ways: dict[object, list[Step]] = {}
    for index, state in enumerate(found.states):
        for step in steps_from(protocol, state):
            names_lease = step.request.token == state.receipt.token
            key = (step.update, state.receipt, names_lease, step.request.to, step.accepted)
            if step.update is not None and key not in ways:
                ways[key] = [*found.path(index), step]
    return list(ways.values())


@pytest.mark.parametrize(
    "protocol", [KILLS, HANGS, ANSWERS, EFFECTS, PAUSES, PAUSED_KILLS], ids=lambda each: each.name
)
def test_each_update_does_in_mongodb_what_it_does_in_the_model(
    ledger: Ledger, protocol: Protocol
) -> None:
    ways = writes(protocol)
    assert ways
    for way in ways:
        replay = Replay.begin(ledger, protocol)
        for step in way:
            replay.make(step)
            assert replay.matches(step.after), [str(each.action) for each in way]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(choices=st.lists(st.integers(0, 1_000), min_size=10, max_size=40))
def test_any_walk_of_the_model_is_one_of_the_stores(ledger: Ledger, choices: list[int]) -> None:
    state = ALL_AT_ONCE.begin()
    replay = Replay.begin(ledger, ALL_AT_ONCE)
    for choice in choices:
        steps = list(steps_from(ALL_AT_ONCE, state))
        if not steps:
            break
        step = steps[choice % len(steps)]
        replay.make(step)
        assert replay.matches(step.after)
        state = step.after
