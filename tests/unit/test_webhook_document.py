"""docs/webhooks.md shows events as they are sent, and names each that there is."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from app.events.event import CacheScope, Event, Scope, Subject
from app.events.type import SUBSCRIBABLE, EventType

DOCUMENT: Final = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
ID: Final = "0196b1c0a4e87d11b8a40c3f5e2d9a77"


def test_the_body_is_what_receivers_get() -> None:
    (shown,) = re.findall(r"^```json\n(.*?)^```$", DOCUMENT, re.DOTALL | re.MULTILINE)
    event = Event(
        event_id=f"evt_{ID}",
        event_type=EventType.TASK_COMPLETED,
        occurred_at=datetime(2026, 1, 31, 12, tzinfo=UTC),
        namespace_id=f"ns_{ID}",
        subject=Subject("task", f"tsk_{ID}"),
        metadata={"task_type": "thumbnails_make", "status": "COMPLETED"},
        cache_scope=CacheScope(Scope.KEY, f"tsk_{ID}"),
        task_id=f"tsk_{ID}",
        sequence=3,
    )
    assert json.loads(shown) == json.loads(event.to_bytes())


def test_every_event_is_in_the_table() -> None:
    rows = [line.split("|")[1] for line in DOCUMENT.splitlines() if line.startswith("| `")]
    named = {word for row in rows for word in re.findall(r"`([a-z.]+\.[a-z]+)`", row)}
    assert named == {str(each) for each in SUBSCRIBABLE}
