"""What a dispatcher remembers of a mailbox while it has its turn."""

from datetime import UTC, datetime

import pytest

from app.deliveries.delivery import Delivery, Stage
from app.deliveries.health import Health
from app.deliveries.mailbox import Mailbox
from app.webhooks.channel import Channel
from app.webhooks.destination import Destination
from workers.delivery.held import FRESH_S, HeldMailbox

HERE = Destination("https://example.org/", {}, 15.0, (b"k" * 32,))


def rows(count: int) -> list[Delivery]:
    return [
        Delivery(
            delivery_id=f"dlv_{number}",
            mailbox_id="wh_1",
            channel=Channel.WEBHOOK,
            webhook_id="wh_1",
            url=None,
            namespace_id="ns_1",
            event_id=f"evt_{number}",
            event_type="task.completed",
            task_id=None,
            sequence=None,
            body=b"{}",
            status=Stage.PENDING,
            due_at=datetime(2026, 1, 1, tzinfo=UTC),
            attempt_count=0,
            round=0,
            round_attempts=0,
        )
        for number in range(count)
    ]


@pytest.fixture
def held() -> HeldMailbox:
    """Its rows were read when the clock stood at zero."""
    mailbox = Mailbox("wh_1", Channel.WEBHOOK, 1, Health())
    held = HeldMailbox.of(mailbox, each=2, since_s=0.0)
    held.fill(rows(3), HERE, rings=1, now_s=0.0)
    return held


def test_what_was_begun_keeps_its_destination_when_nothing_else_is_due(held: HeldMailbox) -> None:
    begun = held.choose(now_s=0.0)
    assert begun is not None
    held.fill([], None, rings=2, now_s=1.0)
    assert held.to(begun) == HERE


def test_rows_that_waited_are_read_again_before_another_is_begun(held: HeldMailbox) -> None:
    assert held.choose(now_s=FRESH_S) is not None
    held.arrive(rows(1)[0], Health(), is_delivered=True)
    assert held.choose(now_s=FRESH_S + 0.1) is None
    assert held.wants_rows
    held.fill(rows(3), HERE, rings=1, now_s=FRESH_S + 0.1)
    assert held.choose(now_s=FRESH_S + 0.2) is not None
