"""`python -m bench.noop`: ours against plain Celery alone, round by round, to work on either."""

import argparse
import statistics
from collections.abc import Sequence

from bench.noop.comparison import JOBS, compare
from bench.noop.drain import Drain
from bench.noop.place import open_place
from bench.noop.plain import Plain
from bench.rounds import ROUNDS


def main() -> None:
    """Prints the rates of each round, and the CPU that a job takes by role."""
    parser = argparse.ArgumentParser(prog="python -m bench.noop", description=__doc__)
    parser.add_argument("--jobs", type=int, default=JOBS, help="jobs of each drain")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds after the warm-up")
    parser.add_argument("--runs", action="store_true", help="record each run in PostgreSQL")
    parser.add_argument("--profile", action="store_true", help="print CPU ms a job by role")
    asked = parser.parse_args()
    with open_place(with_runs=asked.runs) as place:
        found = compare(Plain.over(place), place, jobs=asked.jobs, rounds=asked.rounds)
    comparison = found.comparison
    for mine, other in zip(comparison.ours, comparison.reference, strict=True):
        print(f"ours {mine:8,.0f}   plain Celery {other:8,.0f} jobs/s   ratio {mine / other:.2f}")
    print(f"median ratio {comparison.ratio:.2f}")
    if asked.profile:
        _print_cpu("ours", found.ours[1:])
        _print_cpu("plain Celery", found.reference[1:])


def _print_cpu(name: str, drains: Sequence[Drain]) -> None:
    roles = sorted({role for each in drains for role in each.cpu_ms})
    medians = {
        role: statistics.median(each.cpu_ms[role] for each in drains if each.cpu_ms)
        for role in roles
    }
    print(f"CPU ms a job, {name}: {sum(medians.values()):.3f}")
    for role, each_ms in medians.items():
        print(f"  {role:10} {each_ms:8.3f}")


if __name__ == "__main__":
    main()
