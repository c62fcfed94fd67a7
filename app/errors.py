"""One root error, three kinds: the caller's fault, transient, permanent.

Only the API maps them to HTTP answers; only the job runner maps them to retries.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class WaybillError(Exception):
    """The root. `str(error)` is one sentence for people, free of hosts, queries and tracebacks."""


class CallerError(WaybillError):
    """The request cannot be served as it stands; sending it again unchanged will not help."""


class TransientError(WaybillError):
    """The same call may succeed later: the job runner tries again, the API answers 503."""


class PermanentError(WaybillError):
    """A job cannot succeed on these inputs: it fails at once, without further attempts."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a request, at a place in it."""

    location: tuple[str | int, ...]
    message: str
    kind: str = "value_error"


class BadRequestError(CallerError):
    """400."""


class UnauthorizedError(CallerError):
    """401."""


class ForbiddenError(CallerError):
    """403."""


class NotFoundError(CallerError):
    """404: no such thing, or not in the caller's namespace; the two are never told apart."""


class AlreadyExistsError(CallerError):
    """409."""


class StillInProgressError(AlreadyExistsError):
    """409: the first request with this `Idempotency-Key` is still being served."""


class PayloadTooLargeError(CallerError):
    """413."""


class TooManyRequestsError(CallerError):
    """429: the same call is served once `retry_after_s` have passed; at least 1, whole seconds."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        self.retry_after_s = max(1, retry_after_s)
        super().__init__(message)


class InvalidError(CallerError):
    """422: each problem names its place, what is wrong and what would be right."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problem.message for problem in problems))

    @classmethod
    def at(cls, *location: str | int, message: str, kind: str = "value_error") -> "InvalidError":
        """One problem at one place."""
        return cls([Problem(location, message, kind)])


class UnavailableError(TransientError):
    """503: a store that the call cannot do without does not answer."""


class SettingsError(WaybillError):
    """A setting is missing or wrong: the process does not start."""
