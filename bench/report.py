"""The table of all that was measured, and where: `bench/RESULTS.md`."""

import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, Self

import psutil

from app.embedded import mongo, valkey
from bench.commit import commit
from bench.row import Row
from bench.run import Outcome

RESULTS: Final = Path(__file__).with_name("RESULTS.md")
HEAD: Final = ("What", "Ours", "Reference", "Ratio median (lowest–highest)", "To reach", "Reached")
PACKAGES: Final = (
    *("celery", "kombu", "pymongo", "redis", "fastapi", "uvicorn", "pydantic", "aiohttp"),
    *("numpy", "scikit-learn", "dramatiq", "rq", "taskiq", "taskiq-redis", "huey", "simpy"),
)
MIB: Final = 1024 * 1024
METHOD: Final = (
    "Each benchmark runs in a process tree of its own, alone on the machine, with the default "
    "settings of durability. Ours and the reference take turns in the same run, and turns at being "
    "first; the first round counts for nothing, and a ratio is the median of at least five rounds "
    "unless its line says otherwise. What each compares, and how its reference is tuned, stands at "
    "the head of its module."
)


@dataclass(frozen=True, slots=True)
class Scene:
    """Where and when it was measured."""

    machine: str
    versions: str
    date: str
    commit: str

    @classmethod
    def here(cls) -> Self:
        """This machine, now."""
        return cls(_machine(), _versions(), datetime.now(UTC).strftime("%Y-%m-%d"), commit())


def report(outcomes: Sequence[Outcome], scene: Scene) -> str:
    """The whole document, in Markdown."""
    minutes = sum(each.seconds for each in outcomes) / 60
    return "\n".join(
        [
            "# What `make bench` measured",
            "",
            *table([row for each in outcomes for row in each.rows]),
            "",
            f"- Machine: {scene.machine}",
            f"- Versions: {scene.versions}",
            f"- Date: {scene.date}, commit {scene.commit}; {minutes:.0f} minutes in all",
            *_kept(outcomes, scene.commit),
            "",
            METHOD,
            "",
        ]
    )


def _kept(outcomes: Sequence[Outcome], commit_now: str) -> list[str]:
    """A line about those that were measured before the code was as it is now."""
    names: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.commit != commit_now:
            names.setdefault(outcome.commit, []).append(outcome.name)
    told = [f"{', '.join(each)} ({earlier})" for earlier, each in names.items()]
    return [f"- Kept from runs at earlier commits: {'; '.join(told)}"] if told else []


def table(rows: Sequence[Row]) -> list[str]:
    """The lines of a Markdown table."""
    return [_line(HEAD), _line(["---"] * len(HEAD)), *(_line(_cells(row)) for row in rows)]


def _cells(row: Row) -> list[str]:
    reached = {None: "", True: "yes", False: "no"}[row.is_reached]
    return [row.what, row.ours, row.reference, row.ratio, row.reach, reached]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _machine() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", info.read_text()) if info.exists() else None
    model = found[1] if found else platform.processor() or platform.machine()
    memory_mib = psutil.virtual_memory().total // MIB
    kernel = f"{platform.system()} {platform.release()}"
    return f"{model}, {psutil.cpu_count()} cores, {memory_mib:,} MiB, {kernel}"


def _versions() -> str:
    servers = {"MongoDB": mongo.installed(), "Valkey": valkey.installed()}
    return ", ".join(
        [
            f"Python {platform.python_version()}",
            *(f"{name} {_server_version(path)}" for name, path in servers.items()),
            *(f"{name} {version(name)}" for name in PACKAGES),
        ]
    )


def _server_version(binary: Path) -> str:
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v[=]?(\d+\.\d+\.\d+)", said)
    return found[1] if found else "of a version that it does not tell"
