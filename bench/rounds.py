"""Rounds in which ours and a reference take turns, so that a machine that changes hurts both."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

ROUNDS: Final = 5


@dataclass(frozen=True, slots=True)
class Comparison:
    """What each round measured, of both; the round at the same place belongs to it."""

    ours: tuple[float, ...]
    reference: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        """Ours by the reference, round by round."""
        return [ours / other for ours, other in zip(self.ours, self.reference, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return statistics.median(self.ratios)


def alternate(
    ours: Callable[[], float], reference: Callable[[], float], *, rounds: int = ROUNDS
) -> Comparison:
    """One round to warm up, which counts for nothing, then `rounds`, in turn with who is first."""
    measured: list[tuple[float, float]] = []
    for number in range(rounds + 1):
        if number % 2:
            first = ours()
            pair = first, reference()
        else:
            other = reference()
            pair = ours(), other
        measured.append(pair)
    mine, others = zip(*measured[1:], strict=True)
    return Comparison(mine, others)
