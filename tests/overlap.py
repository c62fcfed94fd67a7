"""What histories say of tasks that ran beside each other."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any


def most_at_once(receipts: Iterable[dict[str, Any]]) -> int:
    """How many of these stored receipts were PROCESSING at one moment, at the most."""
    changes = []
    for receipt in receipts:
        for entry, following in pairwise(receipt["history"]):
            if entry["to"] == "PROCESSING":
                changes += [(entry["at"], 1), (following["at"], -1)]
    most = running = 0
    # At one moment, who ends goes before who begins.
    for _, change in sorted(changes):
        running += change
        most = max(most, running)
    return most
