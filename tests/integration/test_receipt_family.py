"""Fan-out: children once, however often planned; a conclusion once, whoever comes for it."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from app.database import Document
from app.receipts.ledger import Ledger
from app.receipts.progress import advance, begin
from app.receipts.receipt import Piece, Receipt
from app.receipts.status import TaskStatusEnum
from app.receipts.store import Ending, Holder
from app.receipts.transition import earlier
from tests.integration.receipts import (
    NO_TIME,
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
PIECE = "test_piece"


@pytest.fixture
def ledger(database: Database[Document], redis_url: str) -> Iterator[Ledger]:
    with opened(database, redis_url) as ledger:
        ledger.receipts.ensure_indexes()
        yield ledger


def pieces(count: int, *, units: int = 10) -> list[Piece]:
    return [Piece(ordinal, [f"p{ordinal}"], units) for ordinal in range(count)]


def fanned_out(ledger: Ledger, count: int, *, units: int = 10, **changes: Any) -> Receipt:
    parent, by = claim(ledger, create(ledger, **changes))
    total = ledger.families.create_children(parent, PIECE, pieces(count, units=units), at=AT)
    gave_up = ledger.families.fan_out(parent, by.token, units=total)
    assert gave_up is not None
    return gave_up


def end(ledger: Ledger, child: Receipt, ending: Ending) -> Receipt:
    _, by = claim(ledger, child)
    ended = ledger.receipts.finish(child.task_id, by.token, ending, worker=by.worker)
    assert ended is not None
    return ended


def end_all(ledger: Ledger, parent: Receipt) -> None:
    for child in ledger.families.waiting(parent.task_id):
        end(ledger, child, Ending(TaskStatusEnum.COMPLETED, outputs=[{"n": 1}]))


def documents(ledger: Ledger, parent: Receipt) -> list[Document]:
    found = ledger.receipts.tasks.find({"parent_task_id": parent.task_id})
    return list(found.sort("ordinal", 1))


def age_call(ledger: Ledger, parent: Receipt) -> None:
    """Makes the last call of the conclusion a minute older."""
    ledger.receipts.tasks.update_one(
        {"_id": parent.task_id},
        [{"$set": {"fan_out.called_at": {"$subtract": ["$fan_out.called_at", 60_000]}}}],
    )


def test_children_take_after_their_parent(ledger: Ledger) -> None:
    data = {"batch_id": "btch_1", "$set": {"a.b": 1}}
    parent = fanned_out(
        ledger, 3, namespace_id="ns_own", queue="own.jobs", max_attempts=7, additional_data=data
    )
    children = ledger.families.waiting(parent.task_id)
    assert [child.inputs for child in children] == [["p0"], ["p1"], ["p2"]]
    for child in children:
        assert (child.namespace_id, child.queue, child.max_attempts) == ("ns_own", "own.jobs", 7)
        assert child.additional_data == data
        assert (child.task_type, child.status, child.attempt) == (PIECE, "PENDING", 0)
        assert child.parent_task_id == parent.task_id
        document = stored(ledger, child.task_id)
        check_document(document)
        assert document["history"][0]["actor"] == f"task:{parent.task_id}"
    assert parent.progress is not None
    assert (parent.progress.done, parent.progress.total) == (0, 30)
    assert (parent.status, parent.lease_token, parent.fanned_out) == ("PROCESSING", None, True)


def test_a_piece_that_looks_like_code_is_stored_as_it_is(ledger: Ledger) -> None:
    parent, _ = claim(ledger, create(ledger))
    odd: list[object] = ["$status", {"$literal": 1}, {"$set": {"a": 1}}, {"a.b": ["$$ROOT"]}]
    ledger.families.create_children(parent, PIECE, [Piece(0, odd, 1)], at=AT)
    (child,) = ledger.families.waiting(parent.task_id)
    assert child.inputs == odd


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1100])
def test_a_plan_of_any_size_is_stored_whole(ledger: Ledger, count: int) -> None:
    parent, _ = claim(ledger, create(ledger))
    units = ledger.families.create_children(parent, PIECE, pieces(count, units=3), at=AT)
    assert units == 3 * count
    children = ledger.families.waiting(parent.task_id)
    assert [child.inputs for child in children] == [[f"p{index}"] for index in range(count)]


def test_a_plan_made_again_changes_nothing(ledger: Ledger) -> None:
    parent, _ = claim(ledger, create(ledger))
    units = ledger.families.create_children(parent, PIECE, pieces(4), at=AT)
    first, second, third, _ = ledger.families.waiting(parent.task_id)
    end(ledger, first, Ending(TaskStatusEnum.COMPLETED, outputs=[{"n": 5}]))
    claim(ledger, second)
    ledger.cancellations.request(third.task_id, actor="key:ops", reason=None)
    before = documents(ledger, parent)
    later = AT + timedelta(hours=1)
    assert ledger.families.create_children(parent, PIECE, pieces(4), at=later) == units
    assert documents(ledger, parent) == before


def test_sixteen_planners_make_one_family(ledger: Ledger) -> None:
    parent, _ = claim(ledger, create(ledger))
    at_once(16, lambda _: ledger.families.create_children(parent, PIECE, pieces(40), at=AT))
    children = documents(ledger, parent)
    assert [child["ordinal"] for child in children] == list(range(40))
    assert {child["version"] for child in children} == {1}


def test_two_parents_never_share_a_child(ledger: Ledger) -> None:
    parents = [fanned_out(ledger, 3) for _ in range(2)]
    ids = [child["_id"] for parent in parents for child in documents(ledger, parent)]
    assert len(set(ids)) == 6


def test_a_stale_token_fans_nothing_out(ledger: Ledger) -> None:
    receipt = create(ledger)
    old, by = claim(brief(ledger), receipt)
    expired(ledger, receipt.task_id)
    claim(ledger, receipt, holder("w2"))
    before = stored(ledger, receipt.task_id)
    assert ledger.families.fan_out(old, by.token, units=3) is None
    assert stored(ledger, receipt.task_id) == before


def test_a_family_is_complete_when_its_last_child_has_ended(ledger: Ledger) -> None:
    parent = fanned_out(ledger, 5)
    endings = [
        Ending(status)
        for status in (
            *(TaskStatusEnum.COMPLETED, TaskStatusEnum.FAILED, TaskStatusEnum.CANCELED),
            *(TaskStatusEnum.SKIPPED, TaskStatusEnum.COMPLETED),
        )
    ]
    children = ledger.families.waiting(parent.task_id)
    for child, ending in zip(children, endings, strict=True):
        assert not ledger.families.is_complete(parent.task_id)
        end(ledger, child, ending)
    assert ledger.families.is_complete(parent.task_id)


def test_a_family_without_children_is_complete(ledger: Ledger) -> None:
    parent = fanned_out(ledger, 0)
    assert ledger.families.is_complete(parent.task_id)
    assert ledger.families.claim_conclusion(parent.task_id, holder()) is not None


def test_sixteen_race_for_a_conclusion_and_one_wins(ledger: Ledger) -> None:
    for _ in range(8):
        parent = fanned_out(ledger, 1)
        end_all(ledger, parent)
        holders = [holder(f"w{index}") for index in range(16)]

        def race(
            index: int, task_id: str = parent.task_id, by: list[Holder] = holders
        ) -> Receipt | None:
            return ledger.families.claim_conclusion(task_id, by[index])

        claims = at_once(16, race)
        won = [index for index, claimed in enumerate(claims) if claimed is not None]
        assert len(won) == 1
        winner = holders[won[0]]
        assert ledger.receipts.get(parent.task_id).conclusions == 1
        ended = ledger.receipts.finish(
            parent.task_id, winner.token, Ending(TaskStatusEnum.COMPLETED), worker=winner.worker
        )
        assert ended is not None
        assert ledger.families.claim_conclusion(parent.task_id, holder()) is None
        check_document(stored(ledger, parent.task_id))


def test_nothing_is_concluded_that_has_not_fanned_out(ledger: Ledger) -> None:
    waiting = create(ledger)
    running, _ = claim(ledger, create(ledger))
    for receipt in (waiting, running):
        assert ledger.families.is_complete(receipt.task_id)
        before = stored(ledger, receipt.task_id)
        assert ledger.families.claim_conclusion(receipt.task_id, holder()) is None
        assert stored(ledger, receipt.task_id) == before


def test_outputs_are_summed_and_the_first_error_is_kept(ledger: Ledger) -> None:
    parent = fanned_out(ledger, 5)
    kept = ledger.families.waiting(parent.task_id)
    outputs: list[object] = [[{"n": 1, "m": 2**40}], [{"n": 10, "text": "x"}, {"n": 100}], None]
    for child, output in zip(kept[:3], outputs, strict=True):
        end(ledger, child, Ending(TaskStatusEnum.COMPLETED, outputs=output))
    for child, message in [(kept[4], "second"), (kept[3], "first")]:
        failed = Ending(TaskStatusEnum.FAILED, outputs=[{"n": 1000}], error_message=message)
        end(ledger, child, failed)
    children = ledger.families.children(parent.task_id)
    assert children.by_status == {TaskStatusEnum.COMPLETED: 3, TaskStatusEnum.FAILED: 2}
    assert (children.total, children.unfinished) == (5, 2)
    assert children.first_error == "first"
    assert children.sums == {"n": 2111, "m": 2**40}


def test_progress_is_the_sum_of_the_children(ledger: Ledger) -> None:
    parent = fanned_out(ledger, 4, units=100)
    for index, child in enumerate(ledger.families.waiting(parent.task_id)[:3]):
        _, by = claim(ledger, child)
        progress = advance(None, done=10 * index, total=100, errors=index, at=AT)
        assert ledger.receipts.report(child.task_id, by.token, progress) is not None
    rolled = ledger.families.roll_up(parent.task_id, interval=NO_TIME)
    assert rolled is not None
    assert rolled.progress is not None
    assert (rolled.progress.done, rolled.progress.errors, rolled.progress.total) == (30, 3, 400)
    assert rolled.version > parent.version
    assert rolled.status is TaskStatusEnum.PROCESSING


def test_of_sixteen_who_roll_up_within_the_interval_at_most_one_writes(ledger: Ledger) -> None:
    parent = fanned_out(ledger, 2)
    hour = timedelta(hours=1)
    ledger.receipts.tasks.update_one(
        {"_id": parent.task_id}, [{"$set": {"progress.at": earlier(2 * hour)}}]
    )
    before = ledger.receipts.get(parent.task_id).version
    wrote = at_once(16, lambda _: ledger.families.roll_up(parent.task_id, interval=hour))
    assert len([each for each in wrote if each is not None]) == 1
    assert ledger.receipts.get(parent.task_id).version == before + 1


def test_a_parent_that_has_ended_is_rolled_up_no_more(ledger: Ledger) -> None:
    parent = fanned_out(ledger, 1)
    end_all(ledger, parent)
    by = holder()
    ledger.families.claim_conclusion(parent.task_id, by)
    ledger.receipts.finish(
        parent.task_id, by.token, Ending(TaskStatusEnum.COMPLETED), worker=by.worker
    )
    before = stored(ledger, parent.task_id)
    assert ledger.families.roll_up(parent.task_id, interval=NO_TIME) is None
    assert stored(ledger, parent.task_id) == before


def test_what_reports_nothing_rolls_up_to_nothing(ledger: Ledger) -> None:
    receipt, _ = claim(ledger, create(ledger))
    assert ledger.families.roll_up(receipt.task_id, interval=NO_TIME) is None
    assert ledger.families.roll_up("tsk_none", interval=NO_TIME) is None


def test_a_conclusion_that_loses_its_worker_is_made_again_and_not_for_ever(
    ledger: Ledger,
) -> None:
    parent = fanned_out(ledger, 2, max_attempts=2)
    end_all(ledger, parent)
    hasty = brief(ledger)
    for conclusions in (1, 2):
        by = holder(f"box-{conclusions}@host")
        assert hasty.families.claim_conclusion(parent.task_id, by) is not None
        lost = expired(ledger, parent.task_id)
        assert lost.conclusions == conclusions
        assert lost.attempt == 1
        late = ledger.receipts.finish(
            parent.task_id, by.token, Ending(TaskStatusEnum.COMPLETED), worker=by.worker
        )
        assert late is None
        check_document(stored(ledger, parent.task_id))
        if conclusions == 1:
            assert (lost.status, lost.lease_token) == ("PROCESSING", None)
            age_call(ledger, parent)
            called = [each.task_id for each in ledger.families.overdue()]
            assert called == [parent.task_id]
    assert lost.status is TaskStatusEnum.FAILED
    assert lost.error_message is not None
    assert "box-2@host" in lost.error_message
    assert ledger.families.overdue() == []


def test_a_conclusion_given_back_can_be_taken_again(ledger: Ledger) -> None:
    parent = fanned_out(ledger, 1)
    end_all(ledger, parent)
    by = holder()
    ledger.families.claim_conclusion(parent.task_id, by)
    assert ledger.families.release(parent.task_id, "stale") is None
    assert ledger.families.release(parent.task_id, by.token) is not None
    again = ledger.families.claim_conclusion(parent.task_id, holder())
    assert again is not None
    assert again.conclusions == 2


def test_a_parent_is_called_again_only_when_its_call_is_old(ledger: Ledger) -> None:
    parent = fanned_out(ledger, 2)
    age_call(ledger, parent)
    assert ledger.families.overdue() == []  # its children have not ended
    end_all(ledger, parent)
    called = [each for one in at_once(8, lambda _: ledger.families.overdue()) for each in one]
    assert [each.task_id for each in called] == [parent.task_id]
    assert ledger.families.overdue() == []


def test_a_concluded_or_running_conclusion_is_not_called(ledger: Ledger) -> None:
    parent = fanned_out(ledger, 1)
    end_all(ledger, parent)
    by = holder()
    ledger.families.claim_conclusion(parent.task_id, by)
    age_call(ledger, parent)
    assert ledger.families.overdue() == []
    ledger.receipts.finish(
        parent.task_id, by.token, Ending(TaskStatusEnum.COMPLETED), worker=by.worker
    )
    assert ledger.families.overdue() == []


@pytest.mark.parametrize("canceled", [True, False])
def test_no_child_of_a_parent_that_has_ended_runs_any_more(ledger: Ledger, canceled: bool) -> None:
    """The parent's worker is lost between storing the children and giving its lease up."""
    queue = f"test.{secrets.token_hex(4)}"
    receipt = create(ledger, max_attempts=1, queue=queue)
    parent, _ = claim(brief(ledger), receipt)
    if canceled:
        ledger.cancellations.request(parent.task_id, actor="key:ops", reason=None)
        ledger.cancellations.apply(parent.task_id)
    ledger.families.create_children(parent, PIECE, pieces(2), at=AT)
    assert expired(ledger, parent.task_id).is_terminal
    # What the sweeps do about it.
    for task_id in ledger.cancellations.unapplied():
        ledger.cancellations.apply(task_id)
    ledger.queue.republish(ledger.publisher)
    orphans = [child["_id"] for child in documents(ledger, parent)]
    ran = [task_id for task_id in orphans if ledger.receipts.claim(task_id, holder()) is not None]
    assert ran == [], f"the parent is {ledger.receipts.get(parent.task_id).status}"


def test_a_parent_whose_worker_is_lost_while_it_plans_plans_again(ledger: Ledger) -> None:
    receipt = create(ledger)
    parent, _ = claim(brief(ledger), receipt)
    ledger.families.create_children(parent, PIECE, pieces(3), at=AT)
    end(ledger, ledger.families.waiting(parent.task_id)[0], Ending(TaskStatusEnum.COMPLETED))
    assert expired(ledger, receipt.task_id).status is TaskStatusEnum.PENDING
    again, by = claim(ledger, receipt)
    units = ledger.families.create_children(again, PIECE, pieces(3), at=AT)
    gave_up = ledger.families.fan_out(again, by.token, units=units)
    assert gave_up is not None
    assert len(ledger.families.waiting(parent.task_id)) == 2
    end_all(ledger, parent)
    assert ledger.families.claim_conclusion(parent.task_id, holder()) is not None
    assert begin(30, AT).total == units
