"""What is no breach yet: how late, and how far apart, things may be."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final


@dataclass(frozen=True, slots=True)
class Allowance:
    """The bounds of one verification.

    `margin` is how long something may wait that sweeps should have taken up; `clocks` is what the
    clocks of workers and of MongoDB may differ; `kept` is how long receipts were there at least
    after their end, lately; `second_look` is the time after which something that waits is looked
    at again before it is reported, over two ticks of the sweeps.
    """

    margin: timedelta = timedelta(seconds=60)
    clocks: timedelta = timedelta(seconds=2)
    kept: timedelta = timedelta(days=1)
    second_look: timedelta = timedelta(seconds=5)


DEFAULT: Final = Allowance()
