"""From an error to one sentence and an exit code; no other place knows both."""

from dataclasses import dataclass
from typing import Final

from waybill.cli.command_error import CommandError
from waybill.cli.exit_code import ExitCode
from waybill.error import (
    ApiError,
    ClientError,
    ConnectError,
    SetupError,
    TaskCanceledError,
    TaskFailedError,
    WaitTimeoutError,
)

_CODES: Final = {
    401: ExitCode.NOT_ALLOWED,
    403: ExitCode.NOT_ALLOWED,
    404: ExitCode.NOT_FOUND,
    429: ExitCode.UNAVAILABLE,
}
SHOWN: Final = 3  # problems of one request that are worth a line


@dataclass(frozen=True, slots=True)
class Failure:
    """What is said on stderr, and the exit code."""

    sentence: str
    code: ExitCode


def failure_of(error: ClientError | CommandError | OSError) -> Failure:
    """What a person, and a script, is told of the error."""
    match error:
        case CommandError():
            return Failure(str(error), error.code)
        case ApiError():
            return Failure(_sentence(error), code_of(error))
        case SetupError():
            return Failure(str(error), ExitCode.USAGE)
        case ConnectError():
            way_out = "see whether `waybill up` runs, or set WAYBILL_URL"
            return Failure(f"{str(error).removesuffix('.')}: {way_out}.", ExitCode.UNAVAILABLE)
        case TaskFailedError():
            return Failure(f"The task FAILED: {error}", ExitCode.FAILED)
        case TaskCanceledError():
            return Failure(str(error), ExitCode.CANCELED)
        case WaitTimeoutError():
            return Failure(str(error), ExitCode.TIMED_OUT)
        case OSError():
            place = f"{error.filename}: " if error.filename else ""
            return Failure(f"{place}{error.strerror or error}", ExitCode.USAGE)
        case _:
            return Failure(str(error), ExitCode.FAILED)


def code_of(error: ApiError) -> ExitCode:
    """The exit code of an answer that is no success."""
    if error.status >= 500:
        return ExitCode.UNAVAILABLE
    return _CODES.get(error.status, ExitCode.USAGE)


def _sentence(error: ApiError) -> str:
    """The server's own, in one line, with the request's id where only the logs know more."""
    sentence = " ".join(str(error).split())
    if error.status == 401:
        sentence += " (set WAYBILL_API_KEY)"
    if error.status >= 500 and error.request_id:
        sentence += f" (request {error.request_id})"
    return sentence
