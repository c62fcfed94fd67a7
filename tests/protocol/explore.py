"""Searches all that a protocol can do: breadth first, so that a counterexample is a shortest one.

Safety: every step keeps every promise. Liveness: from every state the fair steps alone lead to a
settled one, and no run of fair steps, in which each that stays possible is made in the end, goes
on without settling.
"""

from collections import deque
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from tests.protocol.cycle import components
from tests.protocol.invariant import broken, is_settled
from tests.protocol.model import steps_from
from tests.protocol.protocol import Kind, Protocol, Step
from tests.protocol.state import State

NO_WAY: Final = "fair steps lead to an end from everywhere"
NO_PROGRESS: Final = "fair steps do not go round for ever"

Label = tuple[Kind, int | None]


@dataclass(frozen=True, slots=True)
class Counterexample:
    """The promise that is broken, and how to get there."""

    promise: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "\n".join([f"Broken: {self.promise}", *(f"  {each.action}" for each in self.steps)])


@dataclass(slots=True)
class Explored:
    """The states in the order in which they were found, and the fair steps between them."""

    states: list[State] = field(default_factory=list)
    origins: list[tuple[int, Step] | None] = field(default_factory=list)
    fair: list[list[tuple[Label, int]]] = field(default_factory=list)
    kinds: set[Kind] = field(default_factory=set)
    counterexample: Counterexample | None = None

    def path(self, index: int) -> tuple[Step, ...]:
        """The steps from the beginning to the state, a shortest way."""
        steps: list[Step] = []
        while (origin := self.origins[index]) is not None:
            index, step = origin
            steps.append(step)
        return tuple(reversed(steps))


@cache
def explore(protocol: Protocol) -> Explored:
    """All states, or those up to the first counterexample; a search is made once a process."""
    found = Explored([protocol.begin()], [None], [[]])
    known = {found.states[0]: 0}
    queue = deque([0])
    while queue:
        index = queue.popleft()
        before = found.states[index]
        for step in steps_from(protocol, before):
            found.kinds.add(step.action.kind)
            promise = broken(protocol, before, step)
            if promise is not None:
                found.counterexample = Counterexample(promise, (*found.path(index), step))
                return found
            target = known.setdefault(step.after, len(found.states))
            if target == len(found.states):
                found.states.append(step.after)
                found.origins.append((index, step))
                found.fair.append([])
                queue.append(target)
            if step.action.fair:
                found.fair[index].append(((step.action.kind, step.action.worker), target))
    found.counterexample = _no_way(protocol, found) or _no_progress(protocol, found)
    found.fair.clear()  # nine tenths of the memory
    return found


def _no_way(protocol: Protocol, found: Explored) -> Counterexample | None:
    """The nearest state from which no fair steps lead to a settled one."""
    sources: list[list[int]] = [[] for _ in found.states]
    for index, edges in enumerate(found.fair):
        for _, target in edges:
            sources[target].append(index)
    settled = (at for at, state in enumerate(found.states) if is_settled(protocol, state))
    queue = deque(settled)
    reaching = set(queue)
    while queue:
        for source in sources[queue.popleft()]:
            if source not in reaching:
                reaching.add(source)
                queue.append(source)
    for index in range(len(found.states)):
        if index not in reaching:
            return Counterexample(NO_WAY, found.path(index))
    return None


def _no_progress(protocol: Protocol, found: Explored) -> Counterexample | None:
    """States that fair steps go round in, though each step that stays possible is made."""
    states = enumerate(found.states)
    open_ = {index for index, state in states if not is_settled(protocol, state)}
    edges = {
        index: [(label, target) for label, target in found.fair[index] if target in open_]
        for index in open_
    }
    for group in components({index: [to for _, to in out] for index, out in edges.items()}):
        inside = {label for index in group for label, target in edges[index] if target in group}
        always = set.intersection(*({label for label, _ in found.fair[at]} for at in group))
        if inside and always <= inside:
            return Counterexample(NO_PROGRESS, found.path(min(group)))
    return None
