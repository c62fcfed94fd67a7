"""The model of the protocol does what the stores do, so what is proved of it is true of them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.database import Database

from app.database import Document
from app.receipts.ledger import Ledger
from tests.integration.receipts import opened
from tests.protocol.bound import EFFECTS, PAUSED_KILLS, PAUSES, RETRIES
from tests.protocol.explore import explore
from tests.protocol.flaw import FLAWS, Flaw
from tests.protocol.model import steps_from
from tests.protocol.protocol import Protocol, Step
from tests.protocol.replay import Replay
from tests.protocol.state import State
from tests.protocol.update import UPDATES, Update

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


def situation(state: State, step: Step) -> object:
    """What of the receipt and of the request can make a difference to an update."""
    receipt, request = state.receipt, step.request
    lease, sighting = receipt.lease, request.sighting
    return (
        (step.update, step.accepted, request.to, sighting and replace(sighting, token=0)),
        (receipt.status, receipt.to_end, receipt.to_pause),
        (receipt.token == request.token, receipt.last_token == request.token),
        lease and (lease.runs, lease.keeper == request.keeper),
    )


@cache
def ways() -> Sequence[tuple[Protocol, tuple[Step, ...]]]:
    """A shortest way to each update in each situation that it can meet."""
    found: dict[object, tuple[Protocol, tuple[Step, ...]]] = {}
    for protocol in (RETRIES, EFFECTS, PAUSES, PAUSED_KILLS):
        explored = explore(protocol)
        for index, state in enumerate(explored.states):
            for step in steps_from(protocol, state):
                key = situation(state, step)
                if step.update is not None and key not in found:
                    found[key] = protocol, (*explored.path(index), step)
    return list(found.values())


@pytest.mark.parametrize("update", UPDATES, ids=lambda each: each.method)
def test_an_update_does_in_mongodb_what_it_does_in_the_model(
    ledger: Ledger, update: Update
) -> None:
    chosen = [(protocol, way) for protocol, way in ways() if way[-1].update is update]
    assert chosen
    for protocol, way in chosen:
        replay = Replay.begin(ledger, protocol)
        for step in way:
            replay.make(step)
        assert replay.matches(way[-1].after), [str(each.action) for each in way]


@pytest.mark.parametrize(
    "flaw", [each for each in FLAWS if each.protocol.off], ids=lambda each: each.name
)
def test_the_stores_have_each_guard_of_the_model(ledger: Ledger, flaw: Flaw) -> None:
    """Where a model without it goes wrong, they go another way."""
    counterexample = explore(flaw.protocol).counterexample
    assert counterexample is not None
    replay = Replay.begin(ledger, flaw.protocol)
    for step in counterexample.steps[:-1]:
        replay.make(step)
        assert replay.matches(step.after)
    replay.make(counterexample.steps[-1])
    with pytest.raises(AssertionError):
        replay.matches(counterexample.steps[-1].after)


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
