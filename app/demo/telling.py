"""Being told: a receiver of webhooks beside the demo, and what it heard."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import Empty
from typing import Final

from rich.table import Table

from app.demo.terminal import console, moment
from waybill import Client
from waybill.cli.receiver import Receiver
from waybill.types import JsonObject

LOOPBACK: Final = "127.0.0.1"
ACCEPTED: Final = 204
# The end of a batch and of each execution of a cluster, and of the fit that is killed.
LAST: Final = "task.canceled"
WITHIN_S: Final = 15.0
SHOWN: Final = (
    "task.started",
    "task.completed",
    LAST,
    "collection.documents.written",
    "cluster.execution.completed",
)


@dataclass(slots=True)
class Ear:
    """A receiver on this machine; each delivery that is believed was verified by its secret."""

    receiver: Receiver
    heard: list[tuple[datetime, JsonObject]] = field(default_factory=list)

    @contextmanager
    def open(self, client: Client) -> Iterator[None]:
        """Within the block the receiver is told of what the namespace does."""
        webhook = client.webhooks.create(
            f"demo-{datetime.now(UTC):%H%M%S%f}", self.receiver.url, event_types=SHOWN
        )
        secret = webhook["channels"][0]["configs"]["signing_secret"]
        with self.receiver.serving([secret]):
            yield
            self._wait()
        client.webhooks.delete(webhook["webhook_id"])

    def show(self) -> None:
        """What was told, and how long after it happened."""
        table = Table("event", "subject", "after", title="Told by webhook, signatures verified")
        for at, event in self.heard:
            after = at - moment(event["occurred_at"])
            subject = event["subject"]
            assert isinstance(subject, dict)
            row = (str(event["event_type"]), str(subject["id"]))
            table.add_row(*row, f"{after.total_seconds() * 1000:.0f} ms")
        console.print(table)

    def _wait(self) -> None:
        """Until it was told of the last thing, or for a while."""
        try:
            while not self.heard or self.heard[-1][1]["event_type"] != LAST:
                delivery = self.receiver.heard.get(timeout=WITHIN_S)
                if delivery.event is not None:
                    self.heard.append((delivery.at, delivery.event))
        except Empty:
            console.print(f"The receiver was not told of '{LAST}' within {WITHIN_S:g} s.")


@contextmanager
def listening() -> Iterator[Ear]:
    """A receiver at a free port, which nobody knows yet."""
    with Receiver(LOOPBACK, 0, status=ACCEPTED) as receiver:
        yield Ear(receiver)
