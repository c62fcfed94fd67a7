"""Which protocol is explored, and within which bounds; what a step of it is."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tests.protocol.state import Receipt, State
from tests.protocol.update import Guard, Request, Update


class Kind(StrEnum):
    """Everything that can happen, in the words of a trace."""

    # A worker's job process.
    TAKE = "takes the message"
    CLAIM = "claims"
    COMMIT = "stores a step's effect with its checkpoint"
    STORE = "stores a step's effect"
    REPORT = "reports the step"
    LOOK = "looks whether it is to stop"
    RETURN = "has done all steps"
    FAIL = "fails for good"
    STUMBLE = "fails for the moment"
    DRAIN = "is told to shut down"
    WRITE_END = "writes the end"
    # A worker's parent process.
    RENEW = "renews"
    SIGNAL = "finds the process overdue"
    STRIKE = "ends the process"
    RECORD = "records the forced end"
    STRIKE_OUTLIVED = "ends a process that lost its lease"
    # Faults.
    LOSE_PROCESS = "loses its process"
    LOSE_WORKER = "is killed and started again"
    STOP = "is stopped"
    CONTINUE = "continues"
    LOSE_MESSAGE = "a message is lost"
    DUPLICATE = "a message is doubled"
    CUT_OFF = "the lease runs out, though its keeper lives"
    # The clock, and sweeps.
    RUN_OUT = "the lease runs out, since nobody keeps it"
    REPUBLISH = "the republisher sends a message"
    SEE_EXPIRED = "the reaper sees an expired lease"
    REAP = "the reaper writes"
    APPLY_END = "the cancellation is applied"
    APPLY_PAUSE = "the suspension is applied"
    # People.
    ASK_END = "somebody asks for the end"
    ASK_PAUSE = "somebody asks for a pause"
    RESUME = "somebody resumes"


# What people do and what breaks: nobody may count on it, so it helps nothing to an end.
UNFAIR: Final = frozenset(
    {
        *(Kind.FAIL, Kind.STUMBLE, Kind.DRAIN, Kind.LOSE_PROCESS, Kind.LOSE_WORKER, Kind.STOP),
        *(Kind.LOSE_MESSAGE, Kind.DUPLICATE, Kind.CUT_OFF),
        *(Kind.ASK_END, Kind.ASK_PAUSE, Kind.RESUME),
    }
)


@dataclass(frozen=True, slots=True)
class Action:
    """One step of one actor."""

    kind: Kind
    worker: int | None = None
    answered: bool = True  # whether whoever wrote to MongoDB hears of it

    @property
    def fair(self) -> bool:
        """Whether it happens in the end, where it stays possible for long enough."""
        return self.answered and self.kind not in UNFAIR

    def __str__(self) -> str:
        who = "" if self.worker is None else f"worker {self.worker} "
        return f"{who}{self.kind}{'' if self.answered else ' (the answer is lost)'}"


NOTHING: Final = Request()


@dataclass(frozen=True, slots=True)
class Step:
    """What happens, what of it reaches MongoDB, and the world after it."""

    action: Action
    after: State
    update: Update | None = None
    request: Request = NOTHING
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an update answers: the receipt, or None where it is refused."""

    stored: Receipt
    answer: Receipt | None
    accepted: bool


@dataclass(frozen=True, slots=True)
class Protocol:
    """The bounds of one exploration, and what is broken in it."""

    name: str
    steps: int = 1  # of the job, each with an effect
    max_attempts: int = 2
    max_returns: int = 0  # attempts that end without a fault; 0: no pauses and no shutdowns
    most_messages: int = 1
    kills: bool = False
    stumbles: bool = False  # attempts may fail for the moment or for good
    loses_answers: bool = False
    stops: bool = False
    hangs: bool = False  # the job's code neither reports, nor looks, nor ends
    off: frozenset[Guard] = frozenset()
    absent: frozenset[Kind] = frozenset()  # who does not do its work
    effects_apart: bool = False  # an effect is stored before its report, not with it
    forgets_commits: bool = False  # a repeated commit does not look for the mark of the first

    def begin(self) -> State:
        return State(effects=(0,) * self.steps)

    def write(self, update: Update, receipt: Receipt, request: Request) -> Outcome:
        """What `update` does to the stored receipt, with the guards that are on."""
        if request.repeat and not self.forgets_commits and _marked(receipt, request):
            return Outcome(receipt, receipt, False)
        if all(guard in self.off or guard.holds(receipt, request) for guard in update.guards):
            stored = update.sets(receipt, request)
            return Outcome(stored, stored, True)
        if update.repeats and _made_before(receipt, request):
            return Outcome(receipt, receipt, False)
        return Outcome(receipt, None, False)


def _marked(receipt: Receipt, request: Request) -> bool:
    return receipt.last_commit == (request.token, request.checkpoint)


def _made_before(receipt: Receipt, request: Request) -> bool:
    return receipt.status is request.to and receipt.last_token == request.token
