"""One line of the table that `make bench` writes: what was measured, and what was to be reached."""

import statistics
from dataclasses import dataclass

from bench.rounds import Comparison


@dataclass(frozen=True, slots=True)
class Row:
    """Texts of one line, and whether the number was reached; None where none is to be."""

    what: str
    ours: str
    reference: str = ""
    ratio: str = ""
    reach: str = ""
    is_reached: bool | None = None


def at_least(what: str, found: Comparison, *, reach: float, unit: str, against: str) -> Row:
    """Ours by the reference is to be `reach` or more: rates, of which more is better."""
    return _compared(what, found, f"≥ {reach:g} ×", unit, against, found.ratio >= reach)


def at_most(what: str, found: Comparison, *, reach: float, unit: str, against: str) -> Row:
    """Ours by the reference is to be `reach` or less: times, of which less is better."""
    return _compared(what, found, f"≤ {reach:g} ×", unit, against, found.ratio <= reach)


def beside(what: str, found: Comparison, *, unit: str, against: str) -> Row:
    """Ours by the reference, with nothing to be reached."""
    return _compared(what, found, "", unit, against, None)


def within(what: str, value: float, *, reach: float, unit: str, note: str = "") -> Row:
    """A value that is to be `reach` or less."""
    measured = f"{figure(value)} {unit}" + (f", {note}" if note else "")
    return Row(what, measured, reach=f"≤ {reach:g} {unit}", is_reached=value <= reach)


def noted(what: str, text: str) -> Row:
    """What is told and not judged."""
    return Row(what, text)


def figure(value: float) -> str:
    """As many digits as a reader compares."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _compared(
    what: str, found: Comparison, reach: str, unit: str, against: str, is_reached: bool | None
) -> Row:
    lowest, highest = min(found.ratios), max(found.ratios)
    return Row(
        what,
        ours=f"{figure(statistics.median(found.ours))} {unit}",
        reference=f"{figure(statistics.median(found.reference))} {unit}: {against}",
        ratio=f"{found.ratio:.2f} ({lowest:.2f}–{highest:.2f})",
        reach=reach,
        is_reached=is_reached,
    )
