"""The `waybill` command; the server part joins it through an entry point when it is installed."""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Final

import typer
from typer.exceptions import TyperException

from waybill import __version__
from waybill.cli import group
from waybill.cli.command_error import CommandError
from waybill.cli.exit_code import EPILOG, ExitCode
from waybill.cli.failure import failure_of
from waybill.error import ClientError

GROUP: Final = "waybill.commands"
COMPLETE: Final = "_WAYBILL_COMPLETE"  # set by the shell that asks what may come next
OWN: Final = frozenset({"version", *group.GROUPS, *group.COMMANDS})


def build(*, whole: bool = True, first: str | None = None) -> typer.Typer:
    """The command with all that the installed packages add to it, or the client's part only.

    `first` is the word that was typed: only what it names need be there.
    """
    command = typer.Typer(
        name="waybill",
        help="Durable receipts for long-running Celery jobs.",
        epilog=EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )

    @command.callback()
    def waybill() -> None:
        """A group, however few commands it has."""

    @command.command()
    def version() -> None:
        """Print the version."""
        print(__version__)

    group.register(command, only=first if first in OWN else None)
    missing: list[str] = []
    # Without need its import, which takes a second, is left out.
    for point in entry_points(group=GROUP) if whole else ():
        try:
            point.load()(command, first)
        except ModuleNotFoundError as exc:
            missing.append(f"{point.name} (needs {exc.name})")
    if missing:
        absent = f"Not installed: {', '.join(missing)}. For the server: "
        command.info.epilog = f"{absent}pip install 'waybill[server]'. {EPILOG}"
    return command


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """The exit code of the command with these arguments; errors are one sentence on stderr."""
    first = _first_word(arguments, environment)
    command = build(whole=first not in OWN, first=first)
    try:
        code = command(list(arguments), prog_name="waybill", standalone_mode=False)
    except TyperException as exc:
        return _refused(exc)
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except (ClientError, CommandError, OSError) as exc:
        failure = failure_of(exc)
        _say(failure.sentence)
        return failure.code
    return code if isinstance(code, int) else ExitCode.OK


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:], os.environ))


def _first_word(arguments: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """What was typed after `waybill`, also where the shell asks how it may go on."""
    typed = environment.get("_TYPER_COMPLETE_ARGS") or environment.get("COMP_WORDS") or ""
    words = typed.split()[1:-1] if COMPLETE in environment else arguments
    return words[0] if words else None


def _refused(error: TyperException) -> int:
    """Says what is wrong with the command line, and where its help is."""
    context: object = getattr(error, "ctx", None)
    command = getattr(context, "command_path", "waybill")
    sentence = error.format_message().strip().replace("Value error, ", "")
    if sentence:  # none where the help was printed instead
        _say(f"{sentence} See `{command} --help`.", command)
    return error.exit_code


def _say(sentence: str, command: str = "waybill") -> None:
    print(f"{command}: {sentence}", file=sys.stderr)
