"""What the JSON of every answer is made of."""

from typing import Any, Literal, TypeAlias

JsonObject: TypeAlias = dict[str, Any]

Status: TypeAlias = Literal[
    "PENDING",
    "PROCESSING",
    "IN_PROGRESS",
    "COMPLETED",
    "FAILED",
    "CANCELED",
    "SKIPPED",
    "UNKNOWN",
    "DRAFT",
    "ACTIVE",
    "ARCHIVED",
    "SUSPENDED",
]
