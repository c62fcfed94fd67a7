"""`make bench`: all benchmarks one after the other, and their table in `bench/RESULTS.md`.

`python -m bench NAME…` runs some, prints their rows, and leaves that file alone. The exit code is 1
where one failed; a number that was not reached is a row that says so. With `--keep FOLDER`, what
came to its end is kept there and not run again, so that an interrupted run goes on.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.catalog import MODULES
from bench.report import RESULTS, Scene, report, table
from bench.run import Outcome, run_all, write_rows


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MODULES))
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep what was measured there")
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    unknown = [name for name in asked.names if name not in MODULES]
    if unknown:
        parser.error(f"no benchmark is named {', '.join(unknown)}: there are {', '.join(MODULES)}")
    if asked.rows:
        write_rows(asked.names[0], asked.rows)
        return 0
    outcomes = []
    for outcome in run_all(asked.names or MODULES, kept=asked.keep):
        outcomes.append(outcome)
        _tell(outcome)
    if not asked.names:
        RESULTS.write_text(report(outcomes, Scene.here()))
    return int(any(outcome.has_failed for outcome in outcomes))


def _tell(outcome: Outcome) -> None:
    print(f"{outcome.name}, {outcome.seconds:.0f} s")
    print("\n".join(table(outcome.rows)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
