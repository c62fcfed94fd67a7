"""One fault as data: what happens, when, to whom and for how long."""

from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """What can happen. The part before the first dash names who is hit."""

    CHILD_KILL = "child-kill"
    CHILD_FREEZE = "child-freeze"
    WORKER_KILL = "worker-kill"
    WORKER_FREEZE = "worker-freeze"
    WORKER_TERM = "worker-term"
    PARENT_KILL = "parent-kill"
    PARENT_FREEZE = "parent-freeze"
    CONTROL_KILL = "control-kill"
    CONTROL_FREEZE = "control-freeze"
    BEAT_KILL = "beat-kill"
    BEAT_FREEZE = "beat-freeze"
    API_KILL = "api-kill"
    API_FREEZE = "api-freeze"
    VALKEY_RESTART = "valkey-restart"
    VALKEY_EMPTY = "valkey-empty"
    VALKEY_FREEZE = "valkey-freeze"
    VALKEY_FLUSH = "valkey-flush"
    MONGO_KILL = "mongo-kill"
    MONGO_FREEZE = "mongo-freeze"
    MONGO_STEP_DOWN = "mongo-step-down"
    LINK_DELAY = "link-delay"
    LINK_RESET = "link-reset"
    LINK_CLOSE = "link-close"
    LINK_DEAF = "link-deaf"
    LINK_MUTE = "link-mute"

    @property
    def whom(self) -> str:
        """Who is hit."""
        return self.value.partition("-")[0]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; `target` picks among those that the kind can hit, modulo their number.

    `at_s` counts from the start of the faults. What lasts `duration_s` is undone after it; of a
    kill it is the time before the process is started again.
    """

    at_s: float
    kind: FaultKind
    target: int
    duration_s: float
