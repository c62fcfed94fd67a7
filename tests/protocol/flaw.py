"""Broken protocols: what the checks must find, each in the bounds where it shows."""

from dataclasses import dataclass, replace
from typing import Final

from tests.protocol import update
from tests.protocol.bound import EFFECTS, HANGS, KILLS, MESSAGES, PAUSED_KILLS, PAUSES, RETURNS
from tests.protocol.explore import NO_WAY
from tests.protocol.protocol import Kind, Protocol
from tests.protocol.update import Guard

ENDED: Final = "no code runs under a lease that its task has left"
ONCE: Final = "an effect is stored once"
FENCED: Final = "an effect is stored under the lease only"
BEGUN: Final = "what is to end or to pause is not begun"
GRANTED: Final = "a lease is granted where none stands, with the next attempt"


@dataclass(frozen=True, slots=True)
class Flaw:
    """A protocol that breaks `promise`."""

    name: str
    protocol: Protocol
    promise: str


def _without(guard: Guard, bounds: Protocol, promise: str) -> Flaw:
    return Flaw(f"not: {guard.name}", replace(bounds, off=frozenset({guard})), promise)


def _nobody(kind: Kind, bounds: Protocol) -> Flaw:
    return Flaw(f"nobody: {kind}", replace(bounds, absent=frozenset({kind})), NO_WAY)


FLAWS: Final = (
    _without(update.CLAIM_PENDING, KILLS, GRANTED),
    _without(update.CLAIM_NOT_CANCELED, KILLS, BEGUN),
    _without(update.CLAIM_NOT_SUSPENDED, PAUSES, BEGUN),
    _without(update.COMMIT_TOKEN, EFFECTS, FENCED),
    _without(update.FINISH_TOKEN, KILLS, ENDED),
    _without(update.REQUEUE_TOKEN, EFFECTS, ENDED),
    _without(update.RETURN_TOKEN, RETURNS, ENDED),
    _without(update.PAUSE_ASKED, PAUSES, "SUSPENDED means that somebody asked for it"),
    _without(
        update.RENEW_KEEPER, KILLS, "a task has a lease while it is PROCESSING, and only then"
    ),
    _without(update.REAP_TOKEN, EFFECTS, ENDED),
    _without(update.REAP_EXPIRED, KILLS, "a lease that runs is not reaped"),
    _without(update.APPLY_WAITING, KILLS, ENDED),
    Flaw("an effect apart from its report", replace(EFFECTS, effects_apart=True), FENCED),
    Flaw("a commit made twice", replace(EFFECTS, forgets_commits=True), ONCE),
    _nobody(Kind.REPUBLISH, KILLS),
    _nobody(Kind.SEE_EXPIRED, KILLS),
    _nobody(Kind.APPLY_END, MESSAGES),
    _nobody(Kind.APPLY_PAUSE, PAUSED_KILLS),
    _nobody(Kind.SIGNAL, HANGS),
    _nobody(Kind.STRIKE, HANGS),
    _nobody(Kind.STRIKE_OUTLIVED, HANGS),
)
