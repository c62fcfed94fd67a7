"""What ran, as PostgreSQL keeps it: each attempt of each task is a row."""

import time
from typing import Final

from rich.table import Table

from app.demo.terminal import console
from waybill import Client
from waybill.types import RunStatistic

# Rows come to PostgreSQL a moment after the end that they tell of.
WITHIN_S: Final = 15.0
LOOK_EVERY_S: Final = 0.2
COLUMNS: Final = ("processor", "runs", "failures", "p50", "p95", "rows a second")


def show_runs(client: Client) -> None:
    """Sums up the namespace's runs, once all have ended."""
    table = Table(*COLUMNS, title="Runs, summed up by PostgreSQL")
    for each in _summed_up(client):
        table.add_row(each["processor_name"], *_described(each))
    console.print(table)


def _summed_up(client: Client) -> list[RunStatistic]:
    deadline_s = time.monotonic() + WITHIN_S
    while True:
        found = client.runs.stats()["results"]
        if _are_all_there(client, found) or time.monotonic() > deadline_s:
            return found
        time.sleep(LOOK_EVERY_S)


def _are_all_there(client: Client, found: list[RunStatistic]) -> bool:
    """Whether every kind of task has its runs, and each of these its end."""
    kinds = {each["task_type"] for each in client.tasks.list()}
    return kinds <= {each["processor_name"] for each in found if not each["in_progress"]}


def _described(statistic: RunStatistic) -> tuple[str, ...]:
    rate = statistic["rows_per_second"]
    return (
        f"{statistic['runs']:,}",
        f"{statistic['failures']:,}",
        _length(statistic["p50_s"]),
        _length(statistic["p95_s"]),
        "–" if rate is None else f"{rate:,.0f}",
    )


def _length(length_s: float | None) -> str:
    return "–" if length_s is None else f"{length_s:.3f} s"
