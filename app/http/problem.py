"""Every failure becomes one JSON shape, free of tracebacks, host names and queries.

`{"success": false, "status": 404, "error": {"message", "type", "code", "details"}}`
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pymongo.errors import ConnectionFailure, PyMongoError
from starlette.exceptions import HTTPException

from app.database import is_away
from app.errors import (
    AlreadyExistsError,
    BadRequestError,
    CallerError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    PayloadTooLargeError,
    PermanentError,
    Problem,
    StillInProgressError,
    TooManyRequestsError,
    TransientError,
    UnauthorizedError,
)

UNAVAILABLE: Final = "The database does not answer at the moment: try again in a few seconds"
UNEXPECTED: Final = "Something went wrong on our side; the request id finds it in the logs"
IN_PROGRESS_RETRY_AFTER_S: Final = 1
RETRY_AFTER_S: Final = 2  # an election of a new primary takes about this long

# The names are those of the contract; a status that it does not name takes the nearest kind.
TYPES: Final[Mapping[int, str]] = {
    400: "BadRequestError",
    401: "UnauthorizedError",
    403: "ForbiddenError",
    404: "NotFoundError",
    405: "MethodNotAllowedError",
    409: "AlreadyExistsError",
    413: "PayloadTooLargeError",
    422: "ValidationError",
    429: "TooManyRequestsError",
    500: "InternalServerError",
    503: "ServiceUnavailableError",
}

STATUSES: Final[Mapping[type[CallerError], int]] = {
    BadRequestError: 400,
    UnauthorizedError: 401,
    ForbiddenError: 403,
    NotFoundError: 404,
    AlreadyExistsError: 409,
    PayloadTooLargeError: 413,
    InvalidError: 422,
    TooManyRequestsError: 429,
}

_log = structlog.stdlib.get_logger(__name__)


def status_of(error: CallerError) -> int:
    """The HTTP status of the caller's fault `error`: that of its nearest kind, or 400."""
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 400)


def details_of(error: Exception) -> dict[str, object]:
    """What a client can act on: `{"validation_errors": [{type, location[], message}]}` of an
    `InvalidError`, `{"idempotency": "in_progress"}` of a `StillInProgressError`, else nothing.
    """
    if isinstance(error, StillInProgressError):
        return {"idempotency": "in_progress"}  # what tells it from every other 409
    if not isinstance(error, InvalidError):
        return {}
    return {
        "validation_errors": [
            {
                "type": problem.kind,
                "location": [
                    printable(part) if isinstance(part, str) else part for part in problem.location
                ],
                "message": printable(problem.message),
            }
            for problem in error.problems
        ]
    }


def printable(text: str) -> str:
    """The text without lone surrogates, which JSON can carry in but UTF-8 not out."""
    return text.encode("utf-8", "backslashreplace").decode()


def problem_json(error: CallerError) -> dict[str, object]:
    """`{"message", "type", "code", "details"}`, also for one failure among successes."""
    return _error(status_of(error), str(error), details_of(error))


def answer(
    status: int,
    message: str,
    details: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A failed answer."""
    content = failure_json(status, message, details or {})
    return JSONResponse(content, status, headers=dict(headers) if headers else None)


def failure_json(status: int, message: str, details: Mapping[str, object]) -> dict[str, object]:
    """The one shape of a failed answer."""
    return {"success": False, "status": status, "error": _error(status, message, details)}


def _error(status: int, message: str, details: Mapping[str, object]) -> dict[str, object]:
    kind = TYPES.get(status, "BadRequestError" if status < 500 else "InternalServerError")
    code = kind.removesuffix("Error")
    return {
        "message": printable(message),
        "type": kind,
        "code": "".join("_" + c if c.isupper() else c for c in code).lstrip("_").lower(),
        "details": dict(details),
    }


def _caller(_: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, CallerError)
    status = status_of(exc)
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else None
    if isinstance(exc, TooManyRequestsError):
        headers = {"Retry-After": str(exc.retry_after_s)}
    if isinstance(exc, StillInProgressError):
        headers = {"Retry-After": str(IN_PROGRESS_RETRY_AFTER_S)}
    return answer(status, str(exc), details_of(exc), headers)


def _transient(request: Request, exc: Exception) -> JSONResponse:
    _log.warning("request.unavailable", path=request.url.path, reason=type(exc).__name__)
    message = str(exc) if isinstance(exc, TransientError) else UNAVAILABLE
    return answer(503, message, headers={"Retry-After": str(RETRY_AFTER_S)})


def _permanent(_: Request, exc: Exception) -> JSONResponse:
    return answer(400, str(exc))


def _database(request: Request, exc: Exception) -> JSONResponse:
    """Retryable server errors (a primary that steps down) are 503, the rest are defects."""
    assert isinstance(exc, PyMongoError)
    if is_away(exc):
        return _transient(request, exc)
    _log.error("request.failed", path=request.url.path, exc_info=exc)
    return answer(500, UNEXPECTED)


def _request_invalid(_: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)
    errors = exc.errors()
    if errors and errors[0].get("type") == "json_invalid":
        place = errors[0]["loc"][-1]
        return answer(400, f"The body is not JSON: the fault is at character {place}")
    problems = [problem_of(error) for error in errors]
    return _caller(_, InvalidError(problems))


def problem_of(error: Mapping[str, object]) -> Problem:
    """One entry of pydantic's list of errors, with the place inside the body named."""
    location = error.get("loc")
    parts = tuple(location) if isinstance(location, Sequence) else ()
    inside = [str(part) for part in parts[1:]]
    kind = str(error.get("type", "value_error"))
    message = str(error.get("msg", "is not valid"))
    message = message.removeprefix("Value error, ")
    if kind == "extra_forbidden":
        message = "this key is not known here"
    where = ".".join(inside) or str(parts[0] if parts else "body")
    return Problem(tuple(parts), f"{printable(where)}: {message}", kind)


def _http(_: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)
    message = {
        404: "No such path",
        405: "This path does not take that method",
    }.get(exc.status_code, str(exc.detail))
    return answer(exc.status_code, message, headers=exc.headers)


def install(app: FastAPI) -> None:
    """Gives the app one handler for each kind of failure."""
    app.add_exception_handler(CallerError, _caller)
    app.add_exception_handler(TransientError, _transient)
    app.add_exception_handler(PermanentError, _permanent)
    app.add_exception_handler(ConnectionFailure, _transient)
    app.add_exception_handler(PyMongoError, _database)
    app.add_exception_handler(RequestValidationError, _request_invalid)
    app.add_exception_handler(HTTPException, _http)
