"""What the documents say of tests: those that they name exist, and their examples have one."""

import ast
import re
from collections import Counter
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


# How many blocks of code a document has, and the test that runs them. A diagram is no example.
EXAMPLES = {
    ("README.md", "python"): (3, "tests/acceptance/test_readme.py"),
    ("README.md", "sh"): (3, "tests/acceptance/test_readme.py"),
    ("docs/after_ingestion.md", "python"): (1, "tests/acceptance/test_examples.py"),
    ("docs/client.md", "python"): (7, "tests/acceptance/test_examples.py"),
    ("docs/clusters.md", "python"): (1, "tests/acceptance/test_examples.py"),
    ("docs/command.md", "sh"): (11, "tests/acceptance/test_command_examples.py"),
    ("docs/extractors.md", "json"): (1, "tests/unit/test_extractors.py"),
    ("docs/extractors.md", "toml"): (1, "tests/unit/test_extractors.py"),
    ("docs/extractors.md", "python"): (1, "tests/unit/test_extractors.py"),
    ("docs/keys.md", "sh"): (2, "tests/acceptance/test_examples.py"),
    ("docs/migrations.md", "python"): (1, "tests/acceptance/test_examples.py"),
    ("docs/migrations.md", "sh"): (2, "tests/acceptance/test_examples.py"),
    ("docs/objects.md", "json"): (1, "tests/unit/test_fetch.py"),
    ("docs/objects.md", "sh"): (1, "tests/unit/test_fetch.py"),
    ("docs/operators.md", "sh"): (1, "tests/acceptance/test_examples.py"),
    ("docs/runs.md", "python"): (2, "tests/acceptance/test_examples.py"),
    ("docs/runs.md", "sh"): (1, "tests/acceptance/test_examples.py"),
    ("docs/runs.md", "sql"): (1, "tests/acceptance/test_runs.py"),
    ("docs/scaling.md", "json"): (1, "tests/unit/test_scaling.py"),
    ("docs/taxonomies.md", "python"): (1, "tests/acceptance/test_examples.py"),
    ("docs/taxonomies.md", "sh"): (1, "tests/acceptance/test_examples.py"),
    ("docs/webhooks.md", "json"): (1, "tests/unit/test_webhook_document.py"),
    ("docs/webhooks.md", "python"): (1, "tests/acceptance/test_examples.py"),
}
FENCE = re.compile(r"^```(\w*)\n.*?^```$", re.DOTALL | re.MULTILINE)


def test_every_example_has_its_test() -> None:
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    found = Counter(
        (str(document.relative_to(ROOT)), language)
        for document in documents
        for language in FENCE.findall(document.read_text())
        if language != "mermaid" and document.name != "architecture.md"
    )
    assert found == {example: count for example, (count, _) in EXAMPLES.items()}
    for _, test in EXAMPLES.values():
        assert (ROOT / test).is_file()
