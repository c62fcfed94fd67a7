"""When a call is made again: only one that is safe to repeat, and not for ever."""

from dataclasses import dataclass
from itertools import count
from typing import Final

from waybill.error import ApiError, ConnectError
from waybill.flow.refusal import is_in_progress, is_passing, refusal
from waybill.flow.step import Answer, Call, Flow, Sleep, attempt, clock, sleep

MAX_TRIES: Final = 5
WITHIN_S: Final = 90.0
FIRST_DELAY_S: Final = 0.5
LONGEST_DELAY_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a call is tried, and for how long.

    The server takes an `Idempotency-Key` for abandoned 60 s after its request died; a call whose
    first try went down with a server succeeds after that.
    """

    max_tries: int = MAX_TRIES
    within_s: float = WITHIN_S


def persistent(call: Call, patience: Patience) -> Flow[Answer]:
    """The first successful answer; raises the last error when the patience is at its end.

    An answer that an earlier try of the same call is still being served counts as no try.
    """
    began_s = yield from clock()
    tries = 0
    for number in count():
        error: ApiError | ConnectError
        try:
            answer = yield from attempt(call)
        except ConnectError as exc:
            error = exc
        else:
            if answer.is_success:
                return answer
            error = refusal(answer)
        tries += 0 if isinstance(error, ApiError) and is_in_progress(error) else 1
        if tries >= patience.max_tries or not _may_repeat(call, error):
            raise error
        pause = backoff(number, error)
        left_s = began_s + patience.within_s - (yield from clock())
        if pause.shortest_s > left_s or left_s <= 0:
            raise error
        yield from sleep(pause.shortest_s, min(pause.longest_s, left_s))
    raise AssertionError("the tries have no end")


def backoff(number: int, error: ApiError | ConnectError) -> Sleep:
    """The pause after the failed try `number`, from 0: exponential with full jitter.

    `Retry-After` is the least; the jitter comes on top, so that all do not come back at once.
    """
    asked_s = error.retry_after_s if isinstance(error, ApiError) else None
    least_s = asked_s or 0.0
    spread_s = min(FIRST_DELAY_S * 2 ** min(number, 10), LONGEST_DELAY_S)
    return Sleep(least_s, least_s + spread_s)


def _may_repeat(call: Call, error: ApiError | ConnectError) -> bool:
    return call.repeatable and (isinstance(error, ConnectError) or is_passing(error))
