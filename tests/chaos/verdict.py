"""The reckoning: receipts and effects against what was asked for. It is pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from app.database import Document
from app.receipts.status import TERMINAL, TaskStatusEnum
from tests.chaos import jobs
from tests.chaos.stored import Stored
from tests.chaos.tally import BATCH, BULK_KILL, Order, Tally
from tests.overlap import most_at_once

COMPLETED: Final = TaskStatusEnum.COMPLETED.value
CANCELED: Final = TaskStatusEnum.CANCELED.value
FAILED: Final = TaskStatusEnum.FAILED.value
LOST: Final = "was lost"  # what the receipt of a task says whose workers died each time


def judge(stored: Stored, tally: Tally) -> Iterator[str]:
    """Every violation, as a sentence that names the task."""
    yield from _accepted(stored.receipts, tally)
    yield from _unasked(stored.receipts, tally)
    yield from (f"one request made {ids}" for ids in stored.twins)
    yield from _crowds(stored)
    for task_id, receipt in stored.receipts.items():
        name = f"{receipt['task_type']} {task_id}"
        effects = stored.effects.get(task_id, {})
        yield from (f"{name}: {flaw}" for flaw in _effect_flaws(receipt, effects))
        if receipt["parent_task_id"] is None:
            yield from (f"{name}: {flaw}" for flaw in _end_flaws(receipt, tally))
            order = tally.orders.get(tag_of(receipt))
            if order is not None and receipt["status"] == COMPLETED:
                flaws = _output_flaws(receipt, order, stored.documents)
                yield from (f"{name}: {flaw}" for flaw in flaws)


def tag_of(receipt: Document) -> str:
    """Of the order that a task stands for."""
    if receipt["task_type"] == BULK_KILL:
        return str(receipt["inputs"][2])
    data = receipt["additional_data"]
    return str(data.get("tag") or data.get("batch_id") or "")


def _accepted(receipts: Mapping[str, Document], tally: Tally) -> Iterator[str]:
    for task_id, tag in tally.accepted.items():
        receipt = receipts.get(task_id)
        if receipt is None:
            yield f"task {task_id} of order {tag} was accepted and is lost"
        elif receipt["status"] not in TERMINAL:
            yield f"task {task_id} of order {tag} has not ended: {_brief(receipt)}"
        elif task_id in tally.ended and tally.ended[task_id].status != receipt["status"]:
            yield f"task {task_id} was read as {tally.ended[task_id].status}: {_brief(receipt)}"


def _unasked(receipts: Mapping[str, Document], tally: Tally) -> Iterator[str]:
    by_tag: dict[str, list[str]] = defaultdict(list)
    for task_id, receipt in receipts.items():
        if receipt["parent_task_id"] is None:
            by_tag[tag_of(receipt)].append(task_id)
    for tag, task_ids in by_tag.items():
        if tag not in tally.orders:
            yield f"nobody asked for {task_ids} (tag {tag!r})"
        elif len(task_ids) > 1:
            yield f"order {tag} was carried out {len(task_ids)} times: {task_ids}"
        elif task_ids[0] not in tally.accepted:
            yield f"order {tag} has task {task_ids[0]}, and its producer was never told"


def _crowds(stored: Stored) -> Iterator[str]:
    for namespace_id, limit in stored.quotas.items():
        counted = [
            receipt
            for receipt in stored.receipts.values()
            if receipt["namespace_id"] == namespace_id
            and receipt["parent_task_id"] is None
            and receipt["task_type"] != BULK_KILL
        ]
        if (most := most_at_once(counted)) > limit:
            yield f"{most} tasks of {namespace_id} ran at once, and {limit} may"


def _effect_flaws(receipt: Document, counts: Mapping[str, int]) -> Iterator[str]:
    kind = receipt["task_type"]
    if twice := {step: count for step, count in counts.items() if count > 1}:
        yield f"effects happened more than once: {twice}"
    if receipt["status"] != COMPLETED:
        return
    expected = {
        jobs.STEPS: receipt["inputs"][0],
        jobs.PLAIN: receipt["inputs"][0],
        jobs.FLAKY: 1,
        jobs.FAMILY: 1,
        jobs.CHILD: 1,
    }.get(kind, 0)
    if set(counts) != {str(step) for step in range(expected)}:
        yield f"it is COMPLETED with effects {sorted(counts, key=int)} of {expected}"


def _end_flaws(receipt: Document, tally: Tally) -> Iterator[str]:
    status, asked = receipt["status"], receipt["cancellation"]
    if asked is not None and asked["reason"] not in tally.reasons:
        yield f"nobody asked for its end: {asked}"
    if status == CANCELED and asked is None:
        yield "it is CANCELED without a cancellation"
    if asked is not None and status in TERMINAL and not asked["outcome"]:
        yield f"its cancellation has no outcome: {asked}"
    told = tally.killed.get(receipt["_id"])
    if told is not None and told not in TERMINAL and asked is None:
        yield f"its kill was accepted (it was {told} then) and forgotten"
    if status == FAILED and LOST not in (receipt["error_message"] or ""):
        yield f"it is FAILED: {receipt['error_message']}"
    if status == TaskStatusEnum.SKIPPED:
        yield "it is SKIPPED"


def _output_flaws(receipt: Document, order: Order, documents: Counter[str]) -> Iterator[str]:
    outputs = (receipt["outputs"] or [{}])[0]
    if order.task_type == jobs.FAMILY:
        count = int(str(order.inputs[0]))
        if (outputs.get("children"), outputs.get("value")) != (count, sum(range(count))):
            yield f"its sum is {outputs}"
    if order.task_type == BATCH:
        if odd := {one: documents[str(one)] for one in order.inputs if documents[str(one)] != 1}:
            yield f"its objects have other numbers of documents than one: {odd}"
        if outputs.get("succeeded") != len(order.inputs):
            yield f"it says {outputs} of {len(order.inputs)} objects"


def _brief(receipt: Document) -> str:
    names = ("status", "attempt", "lease", "cancellation", "fan_out", "published_at", "not_before")
    return ", ".join(f"{name}={receipt.get(name)}" for name in names)
