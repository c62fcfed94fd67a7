"""Copies that are written behind: many in one call, the newest of each task, nothing lost."""

from collections.abc import Sequence
from dataclasses import replace
from threading import Event

from app.receipts.write_behind import WriteBehind, Written
from tests.polling import poll
from tests.unit.test_run_record import RECEIPT

SEVERAL = 3


class Slow:
    """A round trip that ends when it is let go on; the first may fail."""

    def __init__(self, *, fails: bool = False) -> None:
        self.calls: list[Sequence[Written]] = []
        self.go_on = Event()
        self._fails = fails

    def __call__(self, written: Sequence[Written]) -> None:
        self.calls.append(written)
        assert self.go_on.wait(30)
        if self._fails and len(self.calls) == 1:
            raise ValueError("a copy that cannot be made")


def written(task_id: str, version: int, *, is_event: bool = False) -> Written:
    receipt = replace(RECEIPT, task_id=task_id, version=version)
    return Written(receipt, {"moved": 1}, is_event)


def under_way(write: Slow, behind: WriteBehind) -> None:
    """The first round trip has begun, and has not ended."""
    behind.add(written("tsk_first", 1))
    poll(lambda: len(write.calls) == 1, description="the first is written", within_s=30)


def test_what_comes_while_one_is_under_way_goes_together() -> None:
    write = Slow()
    behind = WriteBehind(write)
    under_way(write, behind)
    for number in range(SEVERAL):
        behind.add(written(f"tsk_{number}", 1))
    write.go_on.set()
    behind.flush()
    sizes = [len(call) for call in write.calls]
    assert sizes == [1, SEVERAL]


def test_of_one_task_the_newest_is_written_with_all_that_it_counts() -> None:
    write = Slow()
    behind = WriteBehind(write)
    under_way(write, behind)
    for version, is_event in ((3, False), (4, True), (2, False)):
        behind.add(written("tsk_one", version, is_event=is_event))
    write.go_on.set()
    behind.flush()
    (merged,) = write.calls[1]
    assert (merged.receipt.version, merged.counts, merged.is_event) == (4, {"moved": 3}, True)


def test_an_error_does_not_end_the_writing() -> None:
    write = Slow(fails=True)
    behind = WriteBehind(write)
    write.go_on.set()
    under_way(write, behind)
    behind.flush()
    behind.add(written("tsk_next", 1))
    behind.flush()
    assert [each.receipt.task_id for call in write.calls for each in call] == [
        "tsk_first",
        "tsk_next",
    ]


def test_nothing_to_write_is_nothing_to_wait_for() -> None:
    write = Slow()
    WriteBehind(write).flush()
    assert write.calls == []
