"""How each cluster of a picture looks: told apart by colour, and by shape where colours run out."""

from dataclasses import dataclass
from itertools import product
from typing import Final

# Okabe & Ito 2008, told apart by people with any kind of colour vision; the strongest first.
_COLOURS: Final = (
    ("#0072B2", "white"),  # blue
    ("#E69F00", "white"),  # orange
    ("#009E73", "white"),  # green
    ("#D55E00", "white"),  # vermilion
    ("#CC79A7", "white"),  # purple
    ("#56B4E9", "white"),  # sky
    ("#F0E442", "#8F8600"),  # yellow, which white alone would swallow
    ("#000000", "white"),  # black
)
_SHAPES: Final = ("o", "^", "s")


@dataclass(frozen=True, slots=True)
class Style:
    """A colour, one of matplotlib's markers, and the colour of its thin edge."""

    colour: str
    shape: str
    edge: str = "white"


NAMED: Final = 20  # clusters that have a look of their own
STYLES: Final = tuple(
    Style(colour, shape, edge) for shape, (colour, edge) in product(_SHAPES, _COLOURS)
)[:NAMED]
SMALLER: Final = Style("#8C6D46", "D")
NOISE_STYLE: Final = Style("#C4C4C4", "o")
