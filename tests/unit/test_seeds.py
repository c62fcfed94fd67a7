"""docs/seeds.md names tests that exist, or says "open"."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def rows() -> list[str]:
    text = (ROOT / "docs" / "seeds.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [line for line in lines if not re.match(r"\|[-| ]+\|$", line)]


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_row_names_a_test_or_is_open() -> None:
    headers = {"Test", "Where it works"}
    for row in rows():
        cells = {cell.strip() for cell in row.strip("|").split("|")}
        if cells & headers:
            continue
        assert TEST.search(row) or "open" in cells, row


def test_every_named_test_exists() -> None:
    named = [match.groups() for row in rows() for match in TEST.finditer(row)]
    assert len(named) > 20
    for path, function in named:
        assert (ROOT / path).is_file(), path
        if function is not None:
            assert function in functions(ROOT / path), f"{path}::{function}"
