"""docs/operators.md has the metrics that the code has."""

from pathlib import Path

from app.metrics.catalog import CATALOG, Entry

DOCUMENT = Path(__file__).parents[2] / "docs" / "operators.md"


def row(entry: Entry) -> str:
    """A metric's line; of counters, the name is the one that a query uses."""
    name = f"{entry.name}_total" if entry.kind == "counter" else entry.name
    return f"| `{name}` | {entry.kind} | {', '.join(entry.labels)} | {entry.meaning} |"


def test_the_table_of_metrics_is_the_catalog() -> None:
    lines = DOCUMENT.read_text().splitlines()
    start = lines.index("| Metric | Type | Labels | Meaning |") + 2
    table = lines[start : lines.index("", start)]
    assert table == [row(entry) for entry in CATALOG]
