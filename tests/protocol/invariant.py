"""What holds in every state that can be reached, and of every step between two."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.receipts.status import TRANSITIONS
from app.receipts.status import TaskStatusEnum as S
from tests.protocol.protocol import Kind, Protocol, Step
from tests.protocol.state import State


@dataclass(frozen=True, slots=True)
class Invariant:
    """A promise, kept or not by a step from `before`."""

    promise: str
    kept: Callable[[Protocol, State, Step], bool]


def broken(protocol: Protocol, before: State, step: Step) -> str | None:
    """The first promise that the step breaks, or None."""
    for invariant in INVARIANTS:
        if not invariant.kept(protocol, before, step):
            return invariant.promise
    return None


def _is_legal(_: Protocol, before: State, step: Step) -> bool:
    from_, to = before.receipt.status, step.after.receipt.status
    return from_ is to or to in TRANSITIONS[from_]


def _is_final(_: Protocol, before: State, step: Step) -> bool:
    return not before.receipt.is_terminal or before.receipt == step.after.receipt


def _lease_means_processing(_: Protocol, before: State, step: Step) -> bool:
    receipt = step.after.receipt
    return (receipt.lease is not None) == (receipt.status is S.PROCESSING)


def _one_holder(_: Protocol, before: State, step: Step) -> bool:
    token = step.after.receipt.token
    workers = step.after.workers
    return token is None or sum(each.holds and each.token == token for each in workers) <= 1


def _granted_anew(_: Protocol, before: State, step: Step) -> bool:
    """A lease is granted to nobody while another stands, and never on a token whose code ran."""
    old, new = before.receipt, step.after.receipt
    if new.token is None or new.token == old.token:
        return new.attempt == old.attempt
    used = {each.token for each in before.workers if each.holds}
    return old.token is None and new.attempt == old.attempt + 1 and new.token not in used


def _never_begun(_: Protocol, before: State, step: Step) -> bool:
    granted = before.receipt.token is None and step.after.receipt.token is not None
    return not (granted and (before.receipt.to_end or before.receipt.to_pause))


def _taken_by_right(_: Protocol, before: State, step: Step) -> bool:
    """The reaper ends no lease that runs."""
    lease = before.receipt.lease
    reaped = step.action.kind is Kind.REAP and step.accepted
    return not reaped or (lease is not None and not lease.runs)


def _ended_by_itself(_: Protocol, before: State, step: Step) -> bool:
    """No code of an ended or waiting task runs, but for that of tokens which the reaper took."""
    after = step.after
    if after.receipt.status is S.PROCESSING:
        return True
    return all(each.token in after.lost for each in after.workers if each.runs_code)


def _stored_once(_: Protocol, before: State, step: Step) -> bool:
    return all(count <= 1 for count in step.after.effects)


def _stored_under_the_lease(_: Protocol, before: State, step: Step) -> bool:
    return not step.after.stale_effect


def _completed_means_done(_: Protocol, before: State, step: Step) -> bool:
    completed = step.after.receipt.status is S.COMPLETED
    return not completed or all(count == 1 for count in step.after.effects)


def _attempts_are_bounded(protocol: Protocol, before: State, step: Step) -> bool:
    receipt = step.after.receipt
    return receipt.attempt - receipt.returns <= protocol.max_attempts


def _suspended_means_asked(_: Protocol, before: State, step: Step) -> bool:
    receipt = step.after.receipt
    return receipt.status is not S.SUSPENDED or receipt.to_pause


def _asked_stays_asked(_: Protocol, before: State, step: Step) -> bool:
    return step.after.receipt.to_end or not before.receipt.to_end


INVARIANTS: Final = (
    Invariant("the status moves by the table", _is_legal),
    Invariant("what has ended never changes", _is_final),
    Invariant("a task has a lease while it is PROCESSING, and only then", _lease_means_processing),
    Invariant("a lease has one holder", _one_holder),
    Invariant("a lease is granted where none stands, with the next attempt", _granted_anew),
    Invariant("what is to end or to pause is not begun", _never_begun),
    Invariant("a lease that runs is not reaped", _taken_by_right),
    Invariant("no code runs under a lease that its task has left", _ended_by_itself),
    Invariant("an effect is stored under the lease only", _stored_under_the_lease),
    Invariant("an effect is stored once", _stored_once),
    Invariant("COMPLETED means that each effect is stored", _completed_means_done),
    Invariant("faults spend no more attempts than there are", _attempts_are_bounded),
    Invariant("SUSPENDED means that somebody asked for it", _suspended_means_asked),
    Invariant("a cancellation is not forgotten", _asked_stays_asked),
)


def is_settled(protocol: Protocol, state: State) -> bool:
    """Whether the task has come to an end, or to a pause, and none of its code runs.

    A job that hangs settles nothing, and nobody minds until somebody asks for its end.
    """
    receipt = state.receipt
    running = [each for each in state.workers if each.runs_code]
    if (
        protocol.hangs
        and not receipt.to_end
        and [each.token for each in running] == [receipt.token]
    ):
        return True
    paused = receipt.status is S.SUSPENDED and not receipt.to_end
    return (receipt.is_terminal or paused) and not running
