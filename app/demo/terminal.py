"""Where the demo writes."""

from datetime import datetime
from typing import Final

from rich.console import Console

console: Final = Console()


def moment(text: object) -> datetime:
    """The time that an answer has as text."""
    return datetime.fromisoformat(str(text))
