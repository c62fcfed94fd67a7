"""docs/command.md has an example, or a word, of every command."""

from pathlib import Path

import typer.main
from typer.core import TyperGroup

from waybill.cli import group
from waybill.command import build

DOCUMENT = Path(__file__).parents[2] / "docs" / "command.md"


def names() -> list[str]:
    command = typer.main.get_command(build(whole=False))
    context = command.make_context("waybill", [], resilient_parsing=True)
    assert isinstance(command, TyperGroup)
    found = []
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        if isinstance(below, TyperGroup):
            found += [f"waybill {name} {each}" for each in below.list_commands(context)]
        else:
            found.append(f"waybill {name}")
    return found


def test_every_command_is_in_the_document() -> None:
    document = DOCUMENT.read_text()
    commands = [name for name in names() if name != "waybill version"]
    assert len(commands) > 30
    assert [name for name in commands if name not in document] == []


def test_the_server_s_part_is_not_loaded_for_commands_of_the_client() -> None:
    assert set(group.GROUPS) | set(group.COMMANDS) == {
        name.split()[1] for name in names() if name != "waybill version"
    }
