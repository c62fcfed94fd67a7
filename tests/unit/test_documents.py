"""docs/seeds.md and docs/reliability.md name tests that exist; a statement may be "open"."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


DOCUMENTS = ("seeds.md", "reliability.md")


def rows(document: str) -> list[str]:
    text = (ROOT / "docs" / document).read_text()
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [line for line in lines if not re.match(r"\|[-| ]+\|$", line)]


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_row_names_a_test_or_is_open(document: str) -> None:
    headers = {"Test", "Where it works"}
    for row in rows(document):
        cells = {cell.strip() for cell in row.strip("|").split("|")}
        if cells & headers:
            continue
        assert TEST.search(row) or "open" in cells, row


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_named_test_exists(document: str) -> None:
    named = [match.groups() for row in rows(document) for match in TEST.finditer(row)]
    assert len(named) > 20
    for path, function in named:
        assert (ROOT / path).is_file(), path
        if function is not None:
            assert function in functions(ROOT / path), f"{path}::{function}"
