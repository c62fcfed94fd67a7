"""The README's table of settings is the code's."""

import re
from pathlib import Path

from app.settings import PREFIX, Settings

README = Path(__file__).parents[2] / "README.md"
TYPES = {
    "SecretStr": "secret text",
    "tuple": "list",
    "Literal": "one of",
    "path_type='file'": "file",
    "Path": "folder",
    "float": "number",
    "int": "integer",
    "str": "text",
}


def settings_table() -> list[str]:
    """One line a setting, in the order of the code."""
    return [_line(name) for name in Settings.model_fields]


def _line(name: str) -> str:
    field = Settings.model_fields[name]
    annotation = str(field.annotation)
    kind = next(shown for sign, shown in TYPES.items() if sign in annotation)
    if kind == "one of":
        kind = " ".join(re.findall(r"'(\w+)'", annotation))
    default = "" if field.default in (None, ()) else f"`{_shown(field.default)}`"
    if name == "data_dir":
        default = "`~/.local/share/waybill`"
    return f"| `{PREFIX}{name.upper()}` | {kind} | {default} | {field.description} |"


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def test_the_readme_lists_every_setting_as_the_code_has_it() -> None:
    text = README.read_text()
    start, end = text.index("<!-- settings"), text.index("<!-- /settings -->")
    listed = [line for line in text[start:end].splitlines() if line.startswith("| `")]
    assert listed == settings_table()


def test_every_setting_says_what_it_means() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
