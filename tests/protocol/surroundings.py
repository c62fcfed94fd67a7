"""What happens around the workers: the broker, the sweeps, MongoDB's clock, and people."""

from collections.abc import Iterator
from dataclasses import replace

from app.receipts.status import TaskStatusEnum as S
from tests.protocol.protocol import NOTHING, Action, Kind, Protocol, Step
from tests.protocol.state import Phase, Sighting, State
from tests.protocol.update import (
    APPLY_END,
    APPLY_PAUSE,
    ASK_END,
    ASK_PAUSE,
    REAP,
    RESUME,
    WITHDRAW,
    Request,
    Update,
)


def surrounding_steps(protocol: Protocol, state: State) -> Iterator[Step]:
    """Everything that anybody but a worker may do now."""
    yield from _broker(protocol, state)
    yield from _clock_and_reaper(protocol, state)
    yield from _people(protocol, state)


def _broker(protocol: Protocol, state: State) -> Iterator[Step]:
    fewer = replace(state, messages=state.messages - 1)
    more = replace(state, messages=state.messages + 1)
    if state.messages:
        yield Step(Action(Kind.LOSE_MESSAGE), fewer)
        if state.messages < protocol.most_messages:
            yield Step(Action(Kind.DUPLICATE), more)
    elif state.receipt.status is S.PENDING:
        yield Step(Action(Kind.REPUBLISH), more)


def _clock_and_reaper(protocol: Protocol, state: State) -> Iterator[Step]:
    """`LeaseStore.reap` reads, then writes; between the two, anything may happen."""
    receipt, sighting = state.receipt, state.sighting
    lease = receipt.lease
    if lease is not None and lease.runs:
        out = replace(state, receipt=replace(receipt, lease=replace(lease, runs=False)))
        yield Step(Action(Kind.CUT_OFF if _is_kept(state) else Kind.RUN_OUT), out)
    if lease is not None and not lease.runs and sighting is None:
        another = receipt.has_another_attempt(protocol.max_attempts)
        seen = Sighting(lease.token, receipt.to_end, another)
        yield Step(Action(Kind.SEE_EXPIRED), replace(state, sighting=seen))
    if sighting is not None:
        request = Request(sighting.token, sighting=sighting)
        outcome = protocol.write(REAP, receipt, request)
        lost = state.lost | {sighting.token} if outcome.accepted else state.lost
        after = replace(state, receipt=outcome.stored, sighting=None, lost=lost)
        yield Step(Action(Kind.REAP), after, REAP, request, outcome.accepted)


def _people(protocol: Protocol, state: State) -> Iterator[Step]:
    """What the API stores and applies, and what the control sweeps apply again."""
    receipt = state.receipt
    if protocol.kills:
        yield from _write(protocol, state, Kind.ASK_END, ASK_END)
        if receipt.to_end and not receipt.is_terminal:
            yield from _write(protocol, state, Kind.APPLY_END, APPLY_END)
    if protocol.max_returns:
        yield from _write(protocol, state, Kind.ASK_PAUSE, ASK_PAUSE)
        yield from _write(protocol, state, Kind.APPLY_PAUSE, APPLY_PAUSE)
        yield from _write(protocol, state, Kind.RESUME, WITHDRAW)
        sent = replace(state, messages=max(1, state.messages))
        yield from _write(protocol, sent, Kind.RESUME, RESUME)


def _write(protocol: Protocol, state: State, kind: Kind, update: Update) -> Iterator[Step]:
    """The update, where it changes anything."""
    outcome = protocol.write(update, state.receipt, NOTHING)
    if outcome.accepted:
        yield Step(Action(kind), replace(state, receipt=outcome.stored), update, accepted=True)


def _is_kept(state: State) -> bool:
    """Whether a parent that runs would renew the lease in time."""
    lease = state.receipt.lease
    if lease is None or lease.keeper is None:
        return False
    keeper = state.workers[lease.keeper]
    return keeper.phase is not Phase.IDLE and not keeper.stopped
