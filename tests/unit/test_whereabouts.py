"""What a look at a worker's thread takes it to be doing."""

import sys
from collections.abc import Callable, Sequence

import pytest

from bench.whereabouts import look

JOB = ("/srv/waybill/workers/job.py", "__call__")
BATCH = ("/srv/waybill/workers/jobs/batch.py", "process_chunk")
REPORT = ("/srv/waybill/app/receipts/write.py", "change_with")
TRANSACT = ("/srv/waybill/app/database.py", "transact")
EFFECT = ("/srv/waybill/app/resources/extraction.py", "write")


def seen(calls: Sequence[tuple[str, str]]) -> tuple[bool, bool]:
    """What a look sees within these calls, the outermost first."""
    found: Callable[[], tuple[bool, bool]] = lambda: look(sys._getframe())  # noqa: E731
    for file, name in reversed(calls):
        scope: dict[str, Callable[[], tuple[bool, bool]]] = {"inner": found}
        exec(compile(f"def {name}():\n    return inner()", file, "exec"), scope)
        found = scope[name]
    return found()


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ((), (False, False)),
        ((BATCH,), (False, False)),
        ((JOB,), (True, True)),
        ((JOB, BATCH), (True, False)),
        ((JOB, BATCH, REPORT), (True, True)),
        ((JOB, BATCH, REPORT, TRANSACT), (True, True)),
        ((JOB, BATCH, REPORT, TRANSACT, EFFECT), (True, False)),
        ((JOB, BATCH, REPORT, TRANSACT, EFFECT, ("/lib/pymongo/x.py", "send")), (True, False)),
    ],
)
def test_the_innermost_of_our_calls_decides(
    calls: Sequence[tuple[str, str]], expected: tuple[bool, bool]
) -> None:
    assert seen(calls) == expected
