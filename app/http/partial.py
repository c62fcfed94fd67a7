"""The answer of a call on many things, each of which succeeds or fails for itself."""

from collections.abc import Mapping, Sequence

from app.errors import CallerError
from app.http.body import JsonObject
from app.http.problem import problem_json


def partial_answer(
    succeeded: Sequence[JsonObject], errors: Mapping[int, CallerError]
) -> JsonObject:
    """`{"succeeded", "failed", "total_requested", "succeeded_count", "failed_count"}`.

    `errors` are by the position of what failed in the request.
    """
    return {
        "succeeded": list(succeeded),
        "failed": [_failure(index, errors[index]) for index in sorted(errors)],
        "total_requested": len(succeeded) + len(errors),
        "succeeded_count": len(succeeded),
        "failed_count": len(errors),
    }


def _failure(index: int, error: CallerError) -> JsonObject:
    """One failure; the public client wants its error as a sentence, with the type beside it."""
    described = problem_json(error)
    return {
        "index": index,
        "object_index": index,
        "error": described["message"],
        "error_type": described["type"],
        "details": described["details"],
    }
