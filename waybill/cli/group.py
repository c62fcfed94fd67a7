"""All commands that speak to a server; one more is one more line here.

Each is named by its place, not imported: a command starts in half the time without the others.
"""

from importlib import import_module
from typing import Any, Final

import typer

# A group, and what adds further commands to it.
GROUPS: Final = {
    "tasks": ("waybill.cli.task:tasks", "waybill.cli.task_control:steer"),
    "runs": ("waybill.cli.run:runs",),
    "batches": ("waybill.cli.batch:batches",),
    "buckets": ("waybill.cli.bucket:buckets",),
    "collections": ("waybill.cli.collection:collections",),
    "clusters": ("waybill.cli.cluster:clusters",),
    "taxonomies": ("waybill.cli.taxonomy:taxonomies",),
    "namespaces": ("waybill.cli.namespace:namespaces",),
    "migrations": ("waybill.cli.migration:migrations",),
    "keys": ("waybill.cli.key:keys",),
    "webhooks": (
        "waybill.cli.webhook:webhooks",
        "waybill.cli.webhook_delivery:add_log",
        "waybill.cli.webhook_listen:add_listen",
    ),
}
COMMANDS: Final = {
    "health": "waybill.cli.health:health",
    "import": "waybill.cli.import_command:import_command",
}


def register(command: typer.Typer, *, only: str | None = None) -> None:
    """Adds them to the one `waybill` command: all, or the one with this name."""
    for name, (place, *more) in GROUPS.items():
        if only in (None, name):
            group = _at(place)
            for each in more:
                _at(each)(group)
            command.add_typer(group, name=name)
    for name, place in COMMANDS.items():
        if only in (None, name):
            command.command(name)(_at(place))


def _at(place: str) -> Any:
    """What `module:name` names: a group, a command, or what adds to a group."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
