"""`python -m tests.chaos --minutes 5 --seed 7`: a chaos run; exit code 1 when it finds anything."""

import argparse
import random
import signal
import sys
from types import FrameType
from typing import Final

from tests.chaos.run import Plan, Run
from tests.chaos.timing import SHORT, default

HUNG_AFTER_S: Final = 600  # besides the time of the faults; a run takes half of it


class HungError(BaseException):
    """The run does not come to its end; it passes through every handler of errors."""


def main() -> int:
    """Runs as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=None, help="random unless given")
    parser.add_argument(
        "--default-times", action="store_true", help="the product's own lease and grace"
    )
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(2**31) if given.seed is None else given.seed
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(int(given.minutes * 60) + HUNG_AFTER_S)
    timing = default() if given.default_times else SHORT
    findings = Run(Plan(seed, given.minutes, timing, given.keep), _say).go()
    return 1 if findings else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _give_up(number: int, frame: FrameType | None) -> None:
    raise HungError("the run takes too long; the traceback says where it hangs")


if __name__ == "__main__":
    sys.exit(main())
