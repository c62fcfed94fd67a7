"""Bars that move, on stderr, for somebody who looks."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class Bar:
    """One bar with a description, how far it is, and what is counted beside it."""

    def __init__(self, console: Console, description: str, total: float | None) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[counted]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._line: TaskID = self._progress.add_task(description, total=total, counted="")
        self._progress.start()

    def show(
        self,
        done: float,
        counted: str,
        *,
        description: str | None = None,
        total: float | None = None,
    ) -> None:
        """Where it stands now; what is not said stays."""
        self._progress.update(
            self._line, completed=done, counted=counted, description=description, total=total
        )

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._progress.console.print(Text(text), soft_wrap=True)

    def stop(self) -> None:
        self._progress.stop()
