"""One minute of chaos, with the same faults each time; `make chaos` is the longer one."""

import sys

import pytest

from tests.chaos.run import Plan, Run
from tests.chaos.timing import SHORT

SEED = 7


@pytest.mark.timeout(600)
def test_a_minute_of_chaos_violates_nothing() -> None:
    assert Run(Plan(seed=SEED, minutes=1, timing=SHORT), _say).go() == []


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
