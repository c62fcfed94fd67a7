"""Effects stored with a report or an end: both or neither, and none of an attempt that lost."""

from datetime import UTC, datetime, timedelta

import pytest
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import AutoReconnect

from app.database import Document
from app.receipts.ledger import Ledger
from app.receipts.progress import begin
from app.receipts.receipt import Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.store import Ending, Holder
from app.receipts.write import Effect
from tests.integration.receipts import (
    at_once,
    brief,
    check_document,
    claim,
    create,
    expired,
    holder,
    opened,
    stored,
)

AT = datetime(2026, 1, 1, tzinfo=UTC)


class BrokenError(Exception):
    """What an effect of a test raises."""


def commit(
    ledger: Ledger, receipt: Receipt, by: Holder, step: int, *, broken: bool = False
) -> Receipt | None:
    """Counts that a step's effect was stored, with the step as the checkpoint."""
    return ledger.receipts.report(
        receipt.task_id,
        by.token,
        begin(9, AT),
        checkpoint=step,
        effect=counted(ledger, receipt, str(step), broken=broken),
    )


def finish(ledger: Ledger, receipt: Receipt, by: Holder, *, broken: bool = False) -> Receipt | None:
    """Counts that the effect of the task's end was stored."""
    effect = counted(ledger, receipt, "end", broken=broken)
    ending = Ending(TaskStatusEnum.COMPLETED, outputs=["done"], effect=effect)
    return ledger.receipts.finish(receipt.task_id, by.token, ending, worker=by.worker)


def counted(ledger: Ledger, receipt: Receipt, name: str, *, broken: bool = False) -> Effect:
    effects = ledger.receipts.tasks.database["test_effects"]

    def effect(session: ClientSession) -> None:
        key = {"_id": f"{receipt.task_id}:{name}"}
        effects.update_one(key, {"$inc": {"times": 1}}, upsert=True, session=session)
        if broken:
            raise BrokenError

    return effect


def effects(ledger: Ledger) -> dict[str, int]:
    rows = ledger.receipts.tasks.database["test_effects"].find()
    return {row["_id"].rsplit(":", 1)[1]: row["times"] for row in rows}


def test_effect_and_checkpoint_are_stored_together(ledger: Ledger) -> None:
    receipt, by = claim(ledger, create(ledger))
    for step in (1, 2):
        after = commit(ledger, receipt, by, step)
        assert after is not None
        assert after.checkpoint == step
    assert effects(ledger) == {"1": 1, "2": 1}
    check_document(stored(ledger, receipt.task_id))


def test_an_effect_that_fails_leaves_nothing_of_the_report(ledger: Ledger) -> None:
    receipt, by = claim(ledger, create(ledger))
    before = stored(ledger, receipt.task_id)
    with pytest.raises(BrokenError):
        commit(ledger, receipt, by, 1, broken=True)
    assert stored(ledger, receipt.task_id) == before
    assert effects(ledger) == {}


def test_an_attempt_that_lost_its_lease_stores_nothing(ledger: Ledger) -> None:
    receipt, lost = claim(brief(ledger), create(ledger))
    assert commit(ledger, receipt, lost, 1) is not None
    expired(ledger, receipt.task_id)
    assert commit(ledger, receipt, lost, 2) is None
    again, by = claim(ledger, receipt, holder("w2"))
    assert commit(ledger, receipt, lost, 2) is None
    assert again.checkpoint == 1
    assert effects(ledger) == {"1": 1}
    assert commit(ledger, receipt, by, 2) is not None
    assert effects(ledger) == {"1": 1, "2": 1}


def test_reaper_keeper_and_killer_race_a_commit_and_it_is_whole_or_not_at_all(
    ledger: Ledger,
) -> None:
    for _ in range(10):
        receipt, by = claim(brief(ledger), create(ledger))
        calls = [
            lambda r=receipt, h=by: commit(ledger, r, h, 1),
            lambda r=receipt, h=by: ledger.leases.renew({h.job_id: r.task_id}, keeper=h.keeper),
            lambda r=receipt: ledger.cancellations.request(r.task_id, actor="key:ops", reason=None),
            lambda r=receipt: ledger.leases.reap(),
        ]
        committed, *_ = at_once(4, lambda index, work=calls: work[index]())  # type: ignore[misc]
        document = stored(ledger, receipt.task_id)
        check_document(document)
        count = ledger.receipts.tasks.database["test_effects"].count_documents(
            {"_id": f"{receipt.task_id}:1"}
        )
        assert (committed is not None) == (document["checkpoint"] == 1) == (count == 1)


def test_a_commit_whose_answer_was_lost_is_not_made_again(
    database: Database[Document], redis_url: str
) -> None:
    with opened(database, redis_url, patience=timedelta(seconds=30)) as ledger:
        receipt, by = claim(ledger, create(ledger))
        calls = []

        def effect(session: ClientSession) -> None:
            key = {"_id": f"{receipt.task_id}:1"}
            database["test_effects"].update_one(
                key, {"$inc": {"times": 1}}, upsert=True, session=session
            )
            calls.append("made")
            session.commit_transaction()
            raise AutoReconnect("The answer to the commit was lost.")

        after = ledger.receipts.report(
            receipt.task_id, by.token, begin(9, AT), checkpoint=1, effect=effect
        )
        assert after is not None
        assert after.checkpoint == 1
        assert after.version == receipt.version + 1
        assert effects(ledger) == {"1": 1}
        assert calls == ["made"]


def test_the_effect_of_an_end_is_stored_with_it(ledger: Ledger) -> None:
    receipt, by = claim(ledger, create(ledger))
    ended = finish(ledger, receipt, by)
    assert ended is not None
    assert (ended.status, ended.outputs) == ("COMPLETED", ["done"])
    assert finish(ledger, receipt, by) == ended  # the same end, asked for again
    assert effects(ledger) == {"end": 1}
    check_document(stored(ledger, receipt.task_id))


def test_an_end_whose_effect_fails_does_not_happen(ledger: Ledger) -> None:
    receipt, by = claim(ledger, create(ledger))
    before = stored(ledger, receipt.task_id)
    with pytest.raises(BrokenError):
        finish(ledger, receipt, by, broken=True)
    assert stored(ledger, receipt.task_id) == before
    assert effects(ledger) == {}


def test_an_end_without_a_lease_has_no_effect(ledger: Ledger) -> None:
    receipt, lost = claim(brief(ledger), create(ledger))
    expired(ledger, receipt.task_id)
    assert finish(ledger, receipt, lost) is None
    again, by = claim(ledger, receipt, holder("w2"))
    assert finish(ledger, receipt, lost) is None
    assert effects(ledger) == {}
    assert finish(ledger, again, by) is not None
    assert effects(ledger) == {"end": 1}
