"""Bulk kill: ends every open task of a namespace that a selection means.

It runs beside the other control tasks, where no long job is in its way, and in turns, so that it is
in nobody's. A task that was asked to end is selected no more, so a run that begins again goes on
where the last one stopped.
"""

import time
from typing import Final

from app.broker import CONTROL_QUEUE
from app.receipts.status import TaskStatusEnum
from app.resources.task import BULK_KILL_TYPE, OpenTasks, TaskSelection
from workers import process
from workers.attempt import Attempt
from workers.celery_app import app
from workers.exit import PausedError
from workers.job import Job

TASKS_PER_STEP: Final = 100  # whole receipts are read, and some are large
TURN_S: Final = 2.0  # then others have the thread: reaper, republisher, single kills


@app.task(
    base=Job,
    bind=True,
    name=BULK_KILL_TYPE,
    submittable=False,
    suspendable=True,
    queue=CONTROL_QUEUE,
)
def kill_selected(self: Job, attempt: Attempt) -> dict[str, int]:
    """How many tasks ended at once, and how many were asked to: their receipts say when they do."""
    selection, actor, reason = attempt.inputs
    ledger = process.current(self.app).ledger
    tasks = OpenTasks(
        ledger.receipts,
        TaskSelection.from_json(selection),
        namespace_id=attempt.namespace_id,
        at=attempt.receipt.created_at,
        asking=attempt.task_id,
    )
    made = attempt.checkpoint if isinstance(attempt.checkpoint, dict) else {}
    ended, asked = made.get("ended", 0), made.get("asked", 0)
    left = tasks.count()
    total = None if left is None else ended + asked + left
    until_s = time.monotonic() + TURN_S
    while task_ids := tasks.some(TASKS_PER_STEP):
        if time.monotonic() > until_s:
            raise PausedError(TaskStatusEnum.PENDING, "Other control tasks have their turn.")
        ended_now = ledger.killer.kill_many(
            task_ids, actor=str(actor), reason=None if reason is None else str(reason)
        )
        ended, asked = ended + ended_now, asked + len(task_ids) - ended_now
        attempt.progress(ended + asked, total, checkpoint={"ended": ended, "asked": asked})
    return {"selected": ended + asked, "ended": ended, "asked": asked}
