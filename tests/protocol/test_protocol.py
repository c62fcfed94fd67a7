"""The sound protocol keeps its promises in every state; each broken one is caught."""

from dataclasses import replace

import pytest

from app.receipts.status import TaskStatusEnum as S
from tests.protocol.bound import BOUNDS, KILLS, MESSAGES, RETRIES
from tests.protocol.explore import explore
from tests.protocol.flaw import FLAWS, Flaw
from tests.protocol.protocol import Kind, Protocol
from tests.protocol.state import State
from tests.protocol.update import FINISH_TOKEN

ONE_MESSAGE = replace(MESSAGES, most_messages=1)
REACHED = {S.PENDING, S.PROCESSING, S.COMPLETED, S.FAILED, S.CANCELED}
STORY = [
    "Broken: no code runs under a lease that its task has left",
    "  worker 0 takes the message",
    "  worker 0 claims",
    "  worker 0 stores a step's effect with its checkpoint",
    "  worker 0 has done all steps",
    "  the lease runs out, though its keeper lives",
    "  the reaper sees an expired lease",
    "  the reaper writes",
    "  the republisher sends a message",
    "  worker 1 takes the message",
    "  worker 1 claims",
    "  worker 0 writes the end",
]


@pytest.mark.parametrize("protocol", BOUNDS, ids=lambda each: each.name)
def test_the_protocol_keeps_its_promises_in_every_state(protocol: Protocol) -> None:
    found = explore(protocol)
    assert found.counterexample is None, str(found.counterexample)
    assert len(found.states) > 1_000


@pytest.mark.parametrize("flaw", FLAWS, ids=lambda each: each.name)
def test_a_broken_protocol_is_caught(flaw: Flaw) -> None:
    found = explore(flaw.protocol)
    assert found.counterexample is not None
    assert found.counterexample.promise == flaw.promise, str(found.counterexample)


def test_every_end_is_reached() -> None:
    """A model in which nothing happens would keep all promises."""
    assert {state.receipt.status for state in explore(RETRIES).states} == REACHED


def test_everything_that_can_happen_happens_somewhere() -> None:
    made = {kind for protocol in BOUNDS for kind in explore(protocol).kinds}
    never_made = {Kind.STOP, Kind.CONTINUE, Kind.STORE, Kind.REPORT}  # of other protocols
    assert made == set(Kind) - never_made


def test_the_known_limit_is_reached_and_bounded() -> None:
    """Code may outlive its task only where its lease ran out, and then nothing of it is stored."""
    outlived = [
        (state.receipt.status, worker.token in state.lost)
        for state in explore(RETRIES).states
        for worker in state.workers
        if worker.runs_code and worker.token != state.receipt.token
    ]
    assert set(outlived) == {(status, True) for status in REACHED}


def test_a_stopped_process_is_one_that_takes_no_step_for_a_while() -> None:
    """So the other explorations have SIGSTOP in them, though it is not named there."""
    stopping = explore(replace(ONE_MESSAGE, stops=True))
    assert stopping.counterexample is None, str(stopping.counterexample)
    assert {Kind.STOP, Kind.CONTINUE} < stopping.kinds
    assert {_going(state) for state in stopping.states} == set(explore(ONE_MESSAGE).states)


def test_a_counterexample_reads_as_a_story() -> None:
    late = replace(KILLS, off=frozenset({FINISH_TOKEN}))
    assert str(explore(late).counterexample).splitlines() == STORY


def _going(state: State) -> State:
    first, second = (replace(worker, stopped=False) for worker in state.workers)
    return replace(state, workers=(first, second))
