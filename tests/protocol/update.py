"""The guarded updates of `app.receipts` as data: a filter of named guards, and what is set.

A guard that is switched off gives a broken protocol, which the checks must tell from the sound
one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from app.receipts.status import TERMINAL
from app.receipts.status import TaskStatusEnum as S
from tests.protocol.state import Lease, Receipt, Sighting


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks for an update: the parts that its filter and its fields may name."""

    token: int | None = None
    keeper: int | None = None
    to: S | None = None
    checkpoint: int = 0
    repeat: bool = False
    sighting: Sighting | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """One condition of an update's filter."""

    name: str
    holds: Callable[[Receipt, Request], bool]


@dataclass(frozen=True, slots=True)
class Update:
    """One atomic update: `method` makes it, all `guards` must hold, `sets` is what it writes.

    With `repeats`, a repeat whose first answer was lost finds what it wrote before, by the token
    that the receipt remembers.
    """

    method: str
    guards: tuple[Guard, ...]
    sets: Callable[[Receipt, Request], Receipt]
    repeats: bool = False


def _in_status(name: str, *statuses: S) -> Guard:
    return Guard(name, lambda receipt, _: receipt.status in statuses)


def _by_holder(name: str) -> Guard:
    return Guard(name, lambda receipt, request: receipt.token == request.token)


CLAIM_PENDING: Final = _in_status("a claim takes what is PENDING", S.PENDING)
CLAIM_NOT_CANCELED: Final = Guard(
    "a claim takes nothing that is to end", lambda receipt, _: not receipt.to_end
)
CLAIM_NOT_SUSPENDED: Final = Guard(
    "a claim takes nothing that is to pause", lambda receipt, _: not receipt.to_pause
)
COMMIT_TOKEN: Final = _by_holder("a report names the lease's token")
FINISH_RUNNING: Final = _in_status("only what runs is finished", S.PROCESSING)
FINISH_TOKEN: Final = _by_holder("a finish names the lease's token")
REQUEUE_TOKEN: Final = _by_holder("a retry names the lease's token")
RETURN_TOKEN: Final = _by_holder("giving back names the lease's token")
PAUSE_ASKED: Final = Guard(
    "a pause is written while somebody asks for it",
    lambda receipt, request: request.to is not S.SUSPENDED or receipt.to_pause,
)
RENEW_KEEPER: Final = Guard(
    "a renewal names the lease's keeper and its job",
    lambda receipt, request: (
        receipt.lease is not None
        and (receipt.lease.token, receipt.lease.keeper) == (request.token, request.keeper)
    ),
)
REAP_TOKEN: Final = _by_holder("the reaper names the token that it saw")
REAP_EXPIRED: Final = Guard(
    "the reaper takes what has expired when it writes",
    lambda receipt, _: receipt.lease is not None and not receipt.lease.runs,
)
_REAP_UNASKED: Final = Guard(
    "the reaper sends nothing on that somebody asked to end since it looked",
    lambda receipt, request: (
        request.sighting is None or request.sighting.to_end or not receipt.to_end
    ),
)
APPLY_WAITING: Final = _in_status("a kill ends what waits", S.PENDING, S.SUSPENDED)
RECORD_TOKEN: Final = _by_holder("a forced end names the token of the ended process")
RESUME_NOT_CANCELED: Final = Guard(
    "nothing that is to end is resumed", lambda receipt, _: not receipt.to_end
)
_RUNNING: Final = _in_status("the task runs", S.PROCESSING)
_OPEN: Final = Guard("the task is open", lambda receipt, _: not receipt.is_terminal)
_NOT_ASKED: Final = Guard("nobody asked before", lambda receipt, _: not receipt.to_end)
_PAUSE_NOT_ASKED: Final = Guard(
    "nobody asked for a pause before, or for the end",
    lambda receipt, _: not receipt.to_pause and not receipt.to_end,
)
_PAUSE_STANDS: Final = Guard(
    "somebody asks for a pause, and nobody for the end",
    lambda receipt, _: receipt.to_pause and not receipt.to_end,
)
_LEASED: Final = Guard("somebody has the lease", lambda receipt, _: receipt.lease is not None)


def _claimed(receipt: Receipt, request: Request) -> Receipt:
    assert request.token is not None
    return replace(
        receipt,
        status=S.PROCESSING,
        attempt=receipt.attempt + 1,
        lease=Lease(request.token, request.keeper),
        last_token=request.token,
    )


def _committed(receipt: Receipt, request: Request) -> Receipt:
    assert request.token is not None
    mark = (request.token, request.checkpoint)
    return replace(receipt, checkpoint=request.checkpoint, last_commit=mark)


def _left(receipt: Receipt, request: Request) -> Receipt:
    """To where the request wants it, without a lease; the token stays, for a repeat to find."""
    assert request.to is not None
    return _at(request.to, receipt, last_token=request.token)


def _given_back(receipt: Receipt, request: Request) -> Receipt:
    return replace(_left(receipt, request), returns=receipt.returns + 1)


def _renewed(receipt: Receipt, _: Request) -> Receipt:
    lease = receipt.lease or Lease(0, None)  # what an update of `lease.expires_at` makes of null
    return replace(receipt, lease=replace(lease, runs=True))


def _reaped(receipt: Receipt, request: Request) -> Receipt:
    assert request.sighting is not None
    if request.sighting.to_end:
        status = S.CANCELED
    else:
        status = S.PENDING if request.sighting.has_another_attempt else S.FAILED
    return _at(status, receipt, last_token=None)


def _moved(to: S) -> Callable[[Receipt, Request], Receipt]:
    """Somebody else's move: the last holder's token is worth nothing after it."""
    return lambda receipt, _: _at(to, receipt, last_token=None)


def _at(status: S, receipt: Receipt, *, last_token: int | None) -> Receipt:
    """Without a lease, and, where it has ended, with no pause to come."""
    to_pause = receipt.to_pause and status not in TERMINAL
    return replace(receipt, status=status, lease=None, last_token=last_token, to_pause=to_pause)


CLAIM: Final = Update(
    "ReceiptStore.claim",
    (CLAIM_PENDING, CLAIM_NOT_CANCELED, CLAIM_NOT_SUSPENDED),
    _claimed,
    repeats=True,
)
COMMIT: Final = Update(
    "ReceiptStore.report",
    (COMMIT_TOKEN,),
    _committed,
)
FINISH: Final = Update("ReceiptStore.finish", (FINISH_RUNNING, FINISH_TOKEN), _left, repeats=True)
REQUEUE: Final = Update("ReceiptStore.requeue", (_RUNNING, REQUEUE_TOKEN), _left, repeats=True)
GIVE_BACK: Final = Update(
    "ReceiptStore.give_back", (_RUNNING, RETURN_TOKEN, PAUSE_ASKED), _given_back, repeats=True
)
RENEW: Final = Update("LeaseStore.renew", (RENEW_KEEPER,), _renewed)
REAP: Final = Update(
    "LeaseStore.reap", (_RUNNING, REAP_TOKEN, REAP_EXPIRED, _REAP_UNASKED), _reaped
)
ASK_END: Final = Update(
    "CancellationStore.request", (_OPEN, _NOT_ASKED), lambda it, _: replace(it, to_end=True)
)
APPLY_END: Final = Update("CancellationStore.apply", (APPLY_WAITING,), _moved(S.CANCELED))
RECORD_END: Final = Update(
    "CancellationStore.record_end", (_RUNNING, RECORD_TOKEN), _moved(S.CANCELED)
)
ASK_PAUSE: Final = Update(
    "SuspensionStore.request",
    (_in_status("the task waits or runs", S.PENDING, S.PROCESSING), _PAUSE_NOT_ASKED),
    lambda it, _: replace(it, to_pause=True),
)
APPLY_PAUSE: Final = Update(
    "SuspensionStore.apply",
    (_in_status("the task waits", S.PENDING), _PAUSE_STANDS),
    _moved(S.SUSPENDED),
)
RESUME: Final = Update(
    "SuspensionStore.resume",
    (_in_status("the task is suspended", S.SUSPENDED), RESUME_NOT_CANCELED),
    lambda it, request: replace(_moved(S.PENDING)(it, request), to_pause=False),
)
WITHDRAW: Final = Update(
    "SuspensionStore.resume, of what still runs",
    (_RUNNING, _LEASED, _PAUSE_STANDS),
    lambda it, _: replace(it, to_pause=False),
)

UPDATES: Final = (
    *(CLAIM, COMMIT, FINISH, REQUEUE, GIVE_BACK),
    *(RENEW, REAP, ASK_END, APPLY_END, RECORD_END),
    *(ASK_PAUSE, APPLY_PAUSE, RESUME, WITHDRAW),
)
