"""All commands that speak to a server; one more is one more line here."""

from typing import Final

import typer

from waybill.cli.batch import batches
from waybill.cli.bucket import buckets
from waybill.cli.cluster import clusters
from waybill.cli.collection import collections
from waybill.cli.health import health
from waybill.cli.import_command import import_command
from waybill.cli.key import keys
from waybill.cli.migration import migrations
from waybill.cli.namespace import namespaces
from waybill.cli.task import tasks
from waybill.cli.task_control import steer
from waybill.cli.taxonomy import taxonomies

GROUPS: Final = {
    "tasks": tasks,
    "batches": batches,
    "buckets": buckets,
    "collections": collections,
    "clusters": clusters,
    "taxonomies": taxonomies,
    "namespaces": namespaces,
    "migrations": migrations,
    "keys": keys,
}
COMMANDS: Final = {"health": health, "import": import_command}


def register(command: typer.Typer) -> None:
    """Adds them to the one `waybill` command."""
    steer(tasks)
    for name, group in GROUPS.items():
        command.add_typer(group, name=name)
    for name, function in COMMANDS.items():
        command.command(name)(function)
