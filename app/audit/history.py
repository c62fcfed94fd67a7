"""What a history must be: a chain of legal steps, each made by a known attempt, with an end.

Every function takes a readable receipt and returns what breaks its rule, or None.
"""

from itertools import pairwise
from typing import Final

from app.database import Document
from app.receipts.status import INITIAL, TERMINAL, TRANSITIONS, TaskStatusEnum

PROCESSING: Final = TaskStatusEnum.PROCESSING.value
GIVEN_BACK: Final = frozenset({TaskStatusEnum.PENDING, TaskStatusEnum.SUSPENDED})

# Plain text, so that a status that nobody knows is compared too.
Step = tuple[str | None, str]
SECOND_CLAIM: Final[Step] = (PROCESSING, PROCESSING)
LEGAL: Final[frozenset[Step]] = frozenset(
    [(None, to.value) for to in INITIAL]
    + [(start.value, to.value) for start, ends in TRANSITIONS.items() for to in ends]
)


def illegal_step(receipt: Document) -> str | None:
    """The first step that the table does not have; steps with a rule of their own are left out."""
    for entry in receipt["history"]:
        step: Step = (entry["from"], entry["to"])
        if step not in LEGAL and step != SECOND_CLAIM and step[0] not in TERMINAL:
            return f"entry {entry['seq']} goes from {step[0]} to {step[1]}"
    return None


def changed_end(receipt: Document) -> str | None:
    """A terminal status that was left, or a write after it."""
    history, status = receipt["history"], receipt["status"]
    for before, after in pairwise(history):
        if before["to"] in TERMINAL:
            return f"it was {before['to']}, then entry {after['seq']} made it {after['to']}"
    if not history or history[-1]["to"] not in TERMINAL:
        return None
    if status != history[-1]["to"]:
        return f"it was {history[-1]['to']}, and its status is {status}"
    if receipt["ended_at"] is not None and receipt["updated_at"] > receipt["ended_at"]:
        late_s = (receipt["updated_at"] - receipt["ended_at"]).total_seconds()
        return f"it was written {late_s:.3f} s after its end"
    return None


def gap(receipt: Document) -> str | None:
    """The first place where the chain of entries does not hold together."""
    before: str | None = None
    for number, entry in enumerate(receipt["history"], 1):
        if entry["seq"] != number:
            return f"entry {number} is numbered {entry['seq']}"
        if entry["from"] != before:
            return f"entry {number} begins at {entry['from']}, and what came before is {before}"
        before = entry["to"]
    if before != receipt["status"] and before not in TERMINAL:
        return f"its status is {receipt['status']}, and the last entry's is {before}"
    return None


def step_back(receipt: Document) -> str | None:
    """The first entry that is older than the one before it."""
    for before, after in pairwise(receipt["history"]):
        if after["at"] < before["at"]:
            back_s = (before["at"] - after["at"]).total_seconds()
            return f"entry {after['seq']} is {back_s:.3f} s older than the one before"
    return None


def version_behind(receipt: Document) -> str | None:
    """A version below the number of transitions."""
    if receipt["version"] < len(receipt["history"]):
        return f"version {receipt['version']} after {len(receipt['history'])} transitions"
    return None


def attempt_gap(receipt: Document) -> str | None:
    """The first attempt that is not the next one, or a count that the history does not bear out."""
    claims = given_back = 0
    for entry in receipt["history"]:
        claims += entry["to"] == PROCESSING
        given_back += entry["from"] == PROCESSING and entry["to"] in GIVEN_BACK
        if entry["attempt"] != claims:
            return f"entry {entry['seq']} names attempt {entry['attempt']} after {claims} claims"
    if receipt["attempt"] != claims:
        return f"it names attempt {receipt['attempt']} after {claims} claims"
    returns = receipt.get("returns", 0)
    if returns > given_back:
        return f"{returns} attempts were given back, {given_back} by the history"
    return None


def excess_attempt(receipt: Document) -> str | None:
    """More attempts, or conclusions, than the task may have."""
    faulty = receipt["attempt"] - receipt.get("returns", 0)
    if faulty > receipt["max_attempts"]:
        return f"{faulty} attempts of {receipt['max_attempts']}"
    conclusions = (receipt["fan_out"] or {"conclusions": 0})["conclusions"]
    if conclusions > receipt["max_attempts"]:
        return f"{conclusions} conclusions of {receipt['max_attempts']}"
    return None
