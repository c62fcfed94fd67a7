"""Where the jobs of a stack's workers spend their time, by looking at them.

A worker that imports this module (WAYBILL_IMPORTS) looks a hundred times a second, in each of its
children, at the calls in which the job's thread stands. What passed since the last look counts for
where it is seen: in a job, and within that in the receipts' part, by whose code the innermost of
our calls is. What is stored with a report is the batch's; the commit of both counts as the
receipts', though the documents would need one, too. Waiting counts like work, and the row of the
run like a receipt.
"""

import json
import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from celery import signals

MODULE = __name__
FOLDER: Final = "BENCH_FOLDER"  # where each child writes what it saw
LOOK_EVERY_S: Final = 0.01
WRITE_EVERY: Final = 50  # looks
JOB: Final = ("/workers/job.py", "__call__")
RECEIPTS: Final = (
    "/app/receipts/",
    "/app/tracking/",
    "/workers/attempt.py",
    "/workers/job.py",
    "/workers/observation.py",
    "/workers/run_record.py",
)
WORK: Final = ("/workers/jobs/", "/app/resources/", "/workers/extractors/", "/app/fetch/")


@dataclass(frozen=True, slots=True)
class Seen:
    """Seconds within jobs, and of these in the receipts' part."""

    job_s: float
    receipts_s: float

    @property
    def share(self) -> float:
        """The receipts' part of the jobs' time."""
        return self.receipts_s / self.job_s if self.job_s else 0.0


def seen_in(folder: Path) -> Seen:
    """What all children have seen so far."""
    found = [json.loads(file.read_text()) for file in folder.glob("*.json")]
    return Seen(sum(each["job_s"] for each in found), sum(each["receipts_s"] for each in found))


def look(frame: FrameType | None) -> tuple[bool, bool]:
    """Whether the thread that stands there is in a job, and whether in its receipts' part."""
    is_receipts: bool | None = None
    while frame is not None:
        file, name = frame.f_code.co_filename, frame.f_code.co_name
        if is_receipts is None and any(part in file for part in RECEIPTS):
            is_receipts = True
        elif is_receipts is None and any(part in file for part in WORK):
            is_receipts = False
        if file.endswith(JOB[0]) and name == JOB[1]:
            return True, bool(is_receipts)
        frame = frame.f_back
    return False, False


def _watch(thread_id: int, file: Path) -> None:
    job_s = receipts_s = 0.0
    looks, looked_at_s = 0, time.perf_counter()
    while True:
        time.sleep(LOOK_EVERY_S)
        is_job, is_receipts = look(sys._current_frames().get(thread_id))
        now_s = time.perf_counter()
        passed_s, looked_at_s = now_s - looked_at_s, now_s
        job_s += passed_s * is_job
        receipts_s += passed_s * is_receipts
        looks += 1
        if looks % WRITE_EVERY == 0:
            partial = file.with_suffix(".part")
            partial.write_text(json.dumps({"job_s": job_s, "receipts_s": receipts_s}))
            partial.replace(file)


@signals.worker_process_init.connect
def _begin(**_: object) -> None:
    if folder := os.environ.get(FOLDER):
        place = (threading.get_ident(), Path(folder) / f"{os.getpid()}.json")
        threading.Thread(target=_watch, args=place, name="whereabouts", daemon=True).start()
