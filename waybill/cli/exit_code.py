"""How a command ended, for scripts."""

from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """The exit codes of every command; docs/command.md and `waybill --help` list them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CANCELED = 3
    NOT_FOUND = 4
    NOT_ALLOWED = 5
    UNAVAILABLE = 6
    TIMED_OUT = 7
    INTERRUPTED = 130


MEANINGS: Final = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "the task FAILED, or a part of what was asked for did",
    ExitCode.USAGE: "the command or the request is wrong",
    ExitCode.CANCELED: "the task was CANCELED",
    ExitCode.NOT_FOUND: "there is nothing under that name or id",
    ExitCode.NOT_ALLOWED: "the key is not known, or may not do this",
    ExitCode.UNAVAILABLE: "the server cannot be reached, or is not ready",
    ExitCode.TIMED_OUT: "the time given with --timeout passed",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C)",
}

EPILOG: Final = (
    "Exit codes: " + "; ".join(f"{code.value} {text}" for code, text in MEANINGS.items()) + "."
)


def of_status(status: str) -> ExitCode:
    """What a script is told of a task that ended so."""
    match status:
        case "FAILED":
            return ExitCode.FAILED
        case "CANCELED":
            return ExitCode.CANCELED
        case _:
            return ExitCode.OK
