"""The nudge: a message for what others are told of, one on its way at most, none for the rest."""

from collections.abc import Callable

import pytest
from pymongo.database import Database
from redis import Redis
from structlog.testing import capture_logs

from app.broker import WEBHOOKS_QUEUE
from app.database import Document, server_time
from app.embedded.port import LOOPBACK, free_ports
from app.receipts.ledger import Ledger
from app.receipts.nudge import KEY, Nudge
from app.receipts.progress import begin
from app.receipts.receipt import Piece
from tests.integration.receipts import COMPLETED, claim, create, sender

Count = Callable[[Callable[[], object]], int]


@pytest.fixture
def sent(broker: Redis, ledger: Ledger) -> Count:
    """How many messages it sends that a dispatcher has heard all before."""

    def count(work: Callable[[], object]) -> int:
        ledger.cache.nudge.heard()
        before = broker.llen(WEBHOOKS_QUEUE)
        work()
        return int(broker.llen(WEBHOOKS_QUEUE)) - int(before)

    return count


def test_what_is_told_sends_one_message_until_that_is_heard(
    ledger: Ledger, sent: Count, broker: Redis
) -> None:
    def many() -> None:
        create(ledger)
        assert broker.pttl(KEY) > 0  # one that is lost is not waited for
        broker.persist(KEY)  # however long this takes
        for _ in range(5):
            create(ledger)
        ledger.cache.nudge()

    assert sent(many) == 1
    receipt = create(ledger)
    assert sent(lambda: claim(ledger, receipt)) == 1
    ids = [create(ledger).task_id for _ in range(3)]
    end = ledger.cancellations.end_many
    assert sent(lambda: end(ids, actor="key:test", reason=None)) == 1


def test_what_nobody_is_told_of_sends_none(
    ledger: Ledger, database: Database[Document], sent: Count
) -> None:
    parent, by = claim(ledger, create(ledger))
    at = server_time(database)
    report = ledger.receipts.report
    assert sent(lambda: report(parent.task_id, by.token, begin(2, at))) == 0
    pieces = [Piece(1, ["a"], 1)]
    assert sent(lambda: ledger.families.create_children(parent, "child", pieces, at=at)) == 0
    (child,) = ledger.families.waiting(parent.task_id)
    assert sent(lambda: claim(ledger, child)) == 0
    finish = ledger.receipts.finish
    assert sent(lambda: finish(parent.task_id, by.token, COMPLETED, worker="w1")) == 1


def test_a_redis_that_is_away_costs_nothing_but_the_nudge() -> None:
    (port,) = free_ports(1)
    url = f"redis://{LOOPBACK}:{port}"
    with Redis.from_url(url, socket_timeout=1) as nobody:
        nudge = Nudge(nobody, sender(url))
        with capture_logs() as lines:
            nudge()
            nudge()  # leaves it alone for a moment
            nudge.heard()
    assert [line["event"] for line in lines] == ["nudge.failed", "nudge.hearing_failed"]
