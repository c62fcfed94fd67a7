"""The answer of a call on many things, each of which succeeds or fails for itself."""

from typing import Annotated, Generic, TypeVar

from pydantic import Field

from app.http.answer import Answer, Json, ProblemDetails

Row = TypeVar("Row")
Count = Annotated[int, Field(ge=0)]


class Failure(Answer):
    """Why the thing at `index` of the request failed."""

    index: Count
    object_index: Count
    error: str
    error_type: str
    details: ProblemDetails


class Partial(Answer, Generic[Row]):
    """What succeeded, in the order of the request, and what failed."""

    succeeded: list[Row]
    failed: list[Failure]
    total_requested: Count
    succeeded_count: Count
    failed_count: Count


FAILURE_EXAMPLE: Json = {
    "index": 1,
    "object_index": 1,
    "error": "property 'price' must be a number such as 3.5, not the string 'cheap'",
    "error_type": "ValidationError",
    "details": {
        "validation_errors": [
            {
                "type": "value_error",
                "location": ["body", "objects", 1, "price"],
                "message": "property 'price' must be a number such as 3.5, not the string 'cheap'",
            }
        ]
    },
}


def partial_example(row: Json, failure: Json = FAILURE_EXAMPLE) -> Json:
    """One success and one failure, as an example."""
    return {
        "succeeded": [row],
        "failed": [failure],
        "total_requested": 2,
        "succeeded_count": 1,
        "failed_count": 1,
    }
