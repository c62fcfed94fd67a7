"""What the parent process of a worker does for the job process, and what may happen to both."""

from collections.abc import Iterator
from dataclasses import replace

from tests.protocol.protocol import Action, Kind, Protocol, Step
from tests.protocol.state import Phase, State, Worker
from tests.protocol.update import RECORD_END, RENEW, Request


def parent_steps(protocol: Protocol, state: State, index: int) -> Iterator[Step]:
    """The parent's rounds: `LeaseStore.renew`, then `Terminator.tick`."""
    worker, receipt = state.workers[index], state.receipt
    if worker.stopped:
        return
    if worker.phase is not Phase.IDLE:  # it has a request that names the task
        request = Request(worker.token, keeper=index)
        renewed = protocol.write(RENEW, receipt, request)
        after = replace(state, receipt=renewed.stored)
        yield Step(Action(Kind.RENEW, index), after, RENEW, request, renewed.accepted)
    is_overdue = receipt.to_end and receipt.lease is not None and receipt.lease.keeper == index
    if is_overdue and worker.holds and worker.token == receipt.token and worker.doomed is None:
        doomed = state.with_worker(index, replace(worker, doomed=worker.token))
        yield Step(Action(Kind.SIGNAL, index), doomed)
    if worker.doomed is not None and not worker.struck:
        yield Step(Action(Kind.STRIKE, index), state.with_worker(index, worker.without_process()))
    if worker.struck:
        request = Request(worker.doomed)
        recorded = protocol.write(RECORD_END, receipt, request)
        after = replace(state, receipt=recorded.stored)
        clear = after.with_worker(index, replace(worker, doomed=None, struck=False))
        action = Action(Kind.RECORD, index)
        yield Step(action, clear, RECORD_END, request, recorded.accepted)
    if worker.holds and worker.token != receipt.last_token:
        ended = state.with_worker(index, worker.without_process())
        yield Step(Action(Kind.STRIKE_OUTLIVED, index), ended)


def fault_steps(protocol: Protocol, state: State, index: int) -> Iterator[Step]:
    """What may happen to worker `index`, whatever it does."""
    worker, lease = state.workers[index], state.receipt.lease
    if worker.phase is not Phase.IDLE:
        without = state.with_worker(index, worker.without_process())
        yield Step(Action(Kind.LOSE_PROCESS, index), without)
    gone = state.with_worker(index, Worker())
    if lease is not None and lease.keeper == index:  # the new one has another name
        gone = replace(gone, receipt=replace(gone.receipt, lease=replace(lease, keeper=None)))
    yield Step(Action(Kind.LOSE_WORKER, index), gone)
    if protocol.stops:
        kind = Kind.CONTINUE if worker.stopped else Kind.STOP
        changed = replace(worker, stopped=not worker.stopped)
        yield Step(Action(kind, index), state.with_worker(index, changed))
