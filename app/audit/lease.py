"""Who holds what: a lease for each running task, and one only.

Every function takes a readable receipt and returns what breaks its rule, or None.
"""

from app.audit.history import PROCESSING, SECOND_CLAIM
from app.database import Document


def second_holder(receipt: Document) -> str | None:
    """A claim of a task that was held, or a lease that is not the last claimer's."""
    for entry in receipt["history"]:
        if (entry["from"], entry["to"]) == SECOND_CLAIM:
            return f"entry {entry['seq']} is a claim of a task that was held"
    lease = receipt["lease"]
    if lease is not None and receipt.get("last_token", lease["token"]) != lease["token"]:
        return f"{lease['worker']} has the lease, and another token was given since"
    return None


def idle_lease(receipt: Document) -> str | None:
    """A lease on a task that does not run."""
    if receipt["lease"] is not None and receipt["status"] != PROCESSING:
        return f"it is {receipt['status']}, and {receipt['lease']['worker']} has a lease on it"
    return None


def missing_lease(receipt: Document) -> str | None:
    """A task that runs in nobody's hands; the reaper would never find it."""
    if receipt["status"] != PROCESSING or receipt["lease"] is not None:
        return None
    return None if receipt["fan_out"] is not None else "nobody has a lease on it"
