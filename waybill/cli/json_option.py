"""JSON that is typed into an option, or lies in a file: `--schema @schema.json`."""

import json
from pathlib import Path

import typer


def json_of(text: str) -> object:
    """The JSON of the text, of the file that `@path` names, or of stdin (`@-`)."""
    try:
        if text == "@-":
            text = typer.get_text_stream("stdin").read()
        elif text.startswith("@"):
            text = Path(text[1:]).read_text(encoding="utf-8")
        value: object = json.loads(text)
    except OSError as exc:
        raise typer.BadParameter(f"{exc.filename} cannot be read: {exc.strerror}.") from exc
    except ValueError as exc:
        raise typer.BadParameter(f"that is no JSON: {exc}.") from exc
    return value


def object_of(text: str) -> dict[str, object]:
    """The same, where only an object will do."""
    value = json_of(text)
    if not isinstance(value, dict):
        raise typer.BadParameter('that is no JSON object, such as {"name": "value"}.')
    return value
