"""What a system is asked to do in a process of its own: `python -m bench.noop.beside.script`.

Its module builds its queue from the variable BENCH_REDIS_URL as a user's would, so it is imported
there only. `MODULE fill COUNT` prints the ids of the jobs; `MODULE ended` reads ids from stdin and
prints when those jobs ended whose results are there.
"""

import importlib
import json
import os
import sys
from collections.abc import Sequence
from typing import Protocol

VARIABLE = "BENCH_REDIS_URL"


class Module(Protocol):
    """A system's."""

    def fill(self, count: int) -> Sequence[str]:
        """Puts so many jobs on the queue; their ids."""

    def ended(self, ids: Sequence[str]) -> Sequence[float]:
        """Seconds since the epoch, of those whose result is there; it is their result, too."""


def redis_url() -> str:
    """Where the system of this process keeps all it has."""
    return os.environ[VARIABLE]


def main(name: str, what: str, *rest: str) -> None:
    """One question and its answer, as JSON."""
    module: Module = importlib.import_module(name)
    answer = module.fill(int(rest[0])) if what == "fill" else module.ended(json.load(sys.stdin))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
