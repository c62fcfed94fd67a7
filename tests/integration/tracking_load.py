"""Many threads of one process that start and end runs: `python -m … URL PREFIX THREADS EACH`.

After "ready" it waits for a line on its standard input, then says how many runs it has ended. It
ends some twice, starts some twice, and leaves none in progress. Half of it is a forked child's.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psycopg

from app.tracking.client import _turns
from app.tracking.pool import LazyPool
from app.tracking.tracker import ProcessingTracker


def main() -> None:
    """Parent and child do the same, each with connections of its own."""
    prefix, threads, each = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    os.environ["WAYBILL_POSTGRES_URL"] = sys.argv[1]
    tracker = ProcessingTracker("shop", "load")
    assert begin(tracker, f"{prefix}/parent") is not None
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    given = ProcessingTracker("shop", "given", LazyPool(sys.argv[1], most=1))
    _turns._lock.acquire()  # as if another thread just took a turn of its connection
    child = os.fork()
    if child:
        _turns._lock.release()
    if not child:
        assert tracker.get_processing_id(f"{prefix}/parent") is None
        with suppress(RuntimeError):  # the parent's pool is of no use here, and says so
            raise AssertionError(given.start_event("run", {}))
        with psycopg.connect(sys.argv[1]) as connection:
            plain = ProcessingTracker("shop", "plain", connection)
            assert plain.get_event("run", "reference") is None
    work(tracker, f"{prefix}/{bool(child)}", threads, each)
    if not child:
        sys.stdout.flush()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert tracker.end_event(tracker.get_processing_id(f"{prefix}/parent") or "")
    sys.stdout.write("done\n")
    sys.stdout.flush()


def work(tracker: ProcessingTracker, prefix: str, threads: int, each: int) -> None:
    """Every reference is started and ended; each call's answer is checked."""

    def thread(number: int) -> None:
        for count in range(each):
            reference = f"{prefix}/{number}/{count}"
            started = begin(tracker, reference)
            if count % 10 == 0:
                assert tracker.start_event(reference, {}) == started
            assert tracker.end_event(started, success=count % 2 == 0, output_rows=count)
            if count % 10 == 1:
                assert not tracker.end_event(started)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(thread, range(threads)))
    assert len(tracker._running_job_ids) <= 1


def begin(tracker: ProcessingTracker, reference: str) -> str:
    """The id of a run that was stored."""
    started = tracker.start_event(reference, {"reference": reference}, input_rows=1)
    assert started is not None
    assert tracker.get_processing_id(reference) == started
    return started


if __name__ == "__main__":
    main()
