"""What the server part adds to the `waybill` command."""

import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from threading import Event
from typing import Annotated, Final

import typer

from app.embedded.layout import Layout
from app.embedded.program import StartError
from app.embedded.up import Up
from app.errors import SettingsError, WaybillError
from app.settings import load_settings
from waybill import ClientError

BAD_SETTING = 2
FAILED = 1
OWN: Final = frozenset({"up", "demo", "audit", "doctor"})


def register(command: typer.Typer, first: str | None) -> None:
    """Adds the server's commands; called through the entry point group `waybill.commands`.

    `first` is the word that was typed: where it is one of these, the others' imports, which take
    longer than those of `waybill up`, are left out.
    """
    command.command()(up)
    command.command()(demo)
    if first == "audit" or first not in OWN:
        command.add_typer(import_module("app.audit.command").audit, name="audit")
    if first == "doctor" or first not in OWN:
        command.command()(import_module("app.doctor.command").doctor)


def up(
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of all data; default: WAYBILL_DATA_DIR.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that run jobs.", show_default="number of CPUs")
    ] = os.cpu_count() or 1,
    ready_file: Annotated[
        Path | None, typer.Option(help="Written as JSON when everything answers: URLs, keys, pids.")
    ] = None,
) -> None:
    """Run everything: servers that no setting names, API, workers, Beat and Flower."""
    try:
        settings = load_settings()
        folder = (data_dir or settings.data_dir).expanduser().absolute()
        run = Up(Layout(folder), settings, workers, ready_file, _stop_on_signals(), _say)
        run.run(os.environ)
    except (SettingsError, StartError) as exc:
        print(f"waybill up: {exc}", file=sys.stderr)
        raise typer.Exit(BAD_SETTING if isinstance(exc, SettingsError) else FAILED) from exc


def demo(
    data_dir: Annotated[
        Path | None, typer.Option(help="Keep the data here; default: a temporary folder.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that run jobs.", show_default="number of CPUs")
    ] = os.cpu_count() or 1,
) -> None:
    """Run the main job on 1,797 real images, from an empty folder to a receipt."""
    try:
        # Not imported above: scikit-learn takes seconds, and `waybill up` does without it.
        import_module("app.demo.run").run_demo(data_dir, workers)
    except (WaybillError, ClientError) as exc:
        print(f"waybill demo: {exc}", file=sys.stderr)
        raise typer.Exit(FAILED) from exc


def _stop_on_signals() -> Event:
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _say(text: str) -> None:
    print(text, flush=True)
