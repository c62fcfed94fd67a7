"""What the job process of a worker does: it claims, runs the job's code and writes its end."""

from collections.abc import Iterator
from dataclasses import replace

from app.receipts.status import TERMINAL
from app.receipts.status import TaskStatusEnum as S
from tests.protocol.protocol import Action, Kind, Protocol, Step
from tests.protocol.state import Phase, State
from tests.protocol.update import (
    CLAIM,
    COMMIT,
    FINISH,
    GIVE_BACK,
    REQUEUE,
    Request,
)


def job_steps(protocol: Protocol, state: State, index: int) -> Iterator[Step]:
    """Everything that the process of worker `index` may do now."""
    worker = state.workers[index]
    if worker.stopped:
        return
    match worker.phase:
        case Phase.IDLE:
            if state.messages:
                called = state.with_worker(index, replace(worker, phase=Phase.CALLED))
                taken = replace(called, messages=state.messages - 1)
                yield Step(Action(Kind.TAKE, index), taken)
        case Phase.CALLED:
            yield from _claim(protocol, state, index)
        case Phase.RUNNING if not protocol.hangs:
            yield from _run(protocol, state, index)
        case Phase.UNREPORTED:
            yield from _commit(protocol, state, index, Kind.REPORT)
        case Phase.ENDING:
            yield from _write_end(protocol, state, index)
        case _:
            pass


def _claim(protocol: Protocol, state: State, index: int) -> Iterator[Step]:
    """`Job.__call__`: a repeat of a claim without an answer brings the same token."""
    worker = state.workers[index]
    token = worker.token or state.receipt.attempt + 1
    request = Request(token, keeper=index, to=S.PROCESSING)
    outcome = protocol.write(CLAIM, state.receipt, request)
    after = replace(state, receipt=outcome.stored)
    if outcome.answer is None:
        heard = worker.freed()
    else:
        done = outcome.answer.checkpoint
        heard = replace(worker, phase=Phase.RUNNING, token=token, done=done)
    action = Action(Kind.CLAIM, index)
    yield Step(action, after.with_worker(index, heard), CLAIM, request, outcome.accepted)
    if protocol.loses_answers and outcome.accepted:
        unheard = after.with_worker(index, replace(worker, token=token))
        yield Step(replace(action, answered=False), unheard, CLAIM, request, True)


def _run(protocol: Protocol, state: State, index: int) -> Iterator[Step]:
    """The code of the job: its steps, its ends, and what it hears on the way."""
    worker, receipt = state.workers[index], state.receipt
    if worker.done == protocol.steps:
        yield Step(Action(Kind.RETURN, index), _ending(state, index, S.COMPLETED))
    elif protocol.effects_apart:
        yield Step(Action(Kind.STORE, index), _with_effect(state, index, Phase.UNREPORTED))
    else:
        yield from _commit(protocol, state, index, Kind.COMMIT)
    if receipt.token != worker.token:
        lost = state.with_worker(index, worker.freed())
        yield Step(Action(Kind.LOOK, index), lost)
    elif receipt.to_end:
        yield Step(Action(Kind.LOOK, index), _ending(state, index, S.CANCELED))
    elif receipt.to_pause and receipt.returns < protocol.max_returns:
        yield Step(Action(Kind.LOOK, index), _ending(state, index, S.SUSPENDED, faultless=True))
    if protocol.stumbles:
        yield Step(Action(Kind.FAIL, index), _ending(state, index, S.FAILED))
        yield Step(Action(Kind.STUMBLE, index), _stumbled(protocol, state, index))
    if receipt.returns < protocol.max_returns:
        yield Step(Action(Kind.DRAIN, index), _ending(state, index, S.PENDING, faultless=True))


def _commit(protocol: Protocol, state: State, index: int, kind: Kind) -> Iterator[Step]:
    """`Attempt.commit`: the effect and the report in one transaction, or neither.

    A commit without an answer is made again, and found by the mark that the first one left.
    """
    worker = state.workers[index]
    request = Request(worker.token, checkpoint=worker.done + 1, repeat=worker.unheard)
    outcome = protocol.write(COMMIT, state.receipt, request)
    action = Action(kind, index)
    if outcome.answer is None:
        lost = state.with_worker(index, worker.freed())
        yield Step(action, lost, COMMIT, request)
        return
    is_new = kind is Kind.COMMIT and outcome.accepted
    with_effect = _with_effect(state, index, Phase.RUNNING) if is_new else state
    stored = replace(with_effect, receipt=outcome.stored)
    reported = replace(worker, phase=Phase.RUNNING, done=worker.done + 1, unheard=False)
    yield Step(action, stored.with_worker(index, reported), COMMIT, request, outcome.accepted)
    if protocol.loses_answers and outcome.accepted:
        unheard = stored.with_worker(index, replace(worker, unheard=True))
        yield Step(replace(action, answered=False), unheard, COMMIT, request, True)


def _write_end(protocol: Protocol, state: State, index: int) -> Iterator[Step]:
    """`Attempt.end`, `pause` and `give_back`: refused or not, the process is free after it.

    Where a pause is refused, it may have been withdrawn: then the task is given back.
    """
    worker = state.workers[index]
    request = Request(worker.token, to=worker.end)
    back = GIVE_BACK if worker.faultless else REQUEUE
    update = FINISH if worker.end in TERMINAL else back
    outcome = protocol.write(update, state.receipt, request)
    after = replace(state, receipt=outcome.stored)
    withdrawn = outcome.answer is None and worker.end is S.SUSPENDED
    heard = replace(worker, end=S.PENDING) if withdrawn else worker.freed()
    action = Action(Kind.WRITE_END, index)
    yield Step(action, after.with_worker(index, heard), update, request, outcome.accepted)
    if protocol.loses_answers and outcome.accepted:
        yield Step(replace(action, answered=False), after, update, request, True)


def _ending(state: State, index: int, end: S, *, faultless: bool = False) -> State:
    worker = state.workers[index]
    ending = replace(
        worker, phase=Phase.ENDING, end=end, faultless=faultless, done=0, unheard=False
    )
    return state.with_worker(index, ending)


def _stumbled(protocol: Protocol, state: State, index: int) -> State:
    """After a fault that may pass: another attempt, where one is left."""
    another = state.receipt.has_another_attempt(protocol.max_attempts)
    return _ending(state, index, S.PENDING if another else S.FAILED)


def _with_effect(state: State, index: int, phase: Phase) -> State:
    worker = state.workers[index]
    effects = list(state.effects)
    effects[worker.done] += 1
    return replace(
        state.with_worker(index, replace(worker, phase=phase)),
        effects=tuple(effects),
        stale_effect=state.stale_effect or state.receipt.token != worker.token,
    )
