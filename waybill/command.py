"""The `waybill` command; the server part joins it through an entry point when it is installed."""

import sys
from importlib.metadata import entry_points

import typer

from waybill import __version__

GROUP = "waybill.commands"


def build() -> typer.Typer:
    """The command with all that the installed packages add to it."""
    command = typer.Typer(
        name="waybill",
        help="Durable receipts for long-running Celery jobs.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )

    @command.command()
    def version() -> None:
        """Print the version."""
        print(__version__)

    missing: list[str] = []
    for point in entry_points(group=GROUP):
        try:
            point.load()(command)
        except ModuleNotFoundError as exc:
            missing.append(f"{point.name} (needs {exc.name})")
    if missing:
        command.info.epilog = (
            f"Not installed: {', '.join(missing)}. For the server: pip install 'waybill[server]'"
        )
    return command


def main() -> None:
    """Entry point of the console script."""
    sys.exit(build()())
