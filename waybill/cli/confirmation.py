"""The question before something that cannot be undone."""

import sys

import typer

from waybill.cli.command_error import CommandError
from waybill.cli.exit_code import ExitCode


def confirm(question: str, *, yes: bool) -> None:
    """Returns when the answer is yes. Where nobody can be asked, only `--yes` is one."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise CommandError(f"{question} Nobody can be asked here: say --yes.")
    if not typer.confirm(question, err=True):
        raise CommandError("Nothing was done.", ExitCode.INTERRUPTED)
