"""Writes the figures of docs/scaling.md: `python -m bench.scaling` measures, then writes.

The page keeps what was measured as JSON; everything else between its marks is made of that.
`python -m bench.scaling again` makes it again without measuring.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from bench.meter import MONGO, REDIS
from bench.report import Scene
from bench.row import figure
from bench.simulation import SLOTS, TASKS, Measured, compared, measure
from bench.simulation.cluster import RATES, Size, ask, limits, size
from bench.simulation.point import simulate

PAGE: Final = Path(__file__).parents[1] / "docs" / "scaling.md"


@dataclass(frozen=True, slots=True)
class Record:
    """What was measured, where and when."""

    machine: str
    measured_on: str
    measured: Measured


def main() -> None:
    """Measures unless it is told not to, and writes the page."""
    text = PAGE.read_text()
    if "again" not in sys.argv[1:]:
        text = with_section(text, "measured", measured_json(_measure()))
    PAGE.write_text(rendered(text))


def rendered(text: str) -> str:
    """The page with all that is made of what it says was measured."""
    record = recorded(text)
    for name, render in SECTIONS.items():
        text = with_section(text, name, render(record))
    return text


def recorded(text: str) -> Record:
    """What the page says was measured."""
    return TypeAdapter(Record).validate_json(section(text, "measured").strip("`json\n"))


def section(text: str, name: str) -> str:
    """What stands between the marks of that name."""
    found = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", text, re.DOTALL)
    if found is None:
        raise ValueError(f"docs/scaling.md has no section '{name}'")
    return found[1]


def with_section(text: str, name: str, content: str) -> str:
    """The page with that between the marks."""
    old = section(text, name)
    begin, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
    return text.replace(begin + old + end, begin + content + end)


def measured_json(record: Record) -> str:
    """The record itself."""
    return "```json\n" + json.dumps(_rounded(asdict(record)), indent=1) + "\n```"


def cost_table(record: Record) -> str:
    """CPU and traffic of each part of a task's life, and what is kept."""
    costs = record.measured.costs
    steps = list(costs.steps.values())
    roles = [role for role in costs.run.cpu_ms if any(step.cpu_ms[role] >= 0.01 for step in steps)]
    lines = [[f"CPU ms, {role}", *(_figure(step.cpu_ms[role]) for step in steps)] for role in roles]
    lines.append(["**CPU ms, without the client**", *(_figure(step.total_ms) for step in steps)])
    for name in (*MONGO, *REDIS):
        words = name.replace("_", " ")
        lines.append([words, *(_figure(step.traffic[name]) for step in steps)])
    sizes = [[name.replace("_", " "), _figure(each)] for name, each in costs.sizes.items()]
    sizes.append(["acknowledged write, ms less CPU", _figure(costs.commit_wait_ms)])
    return "\n\n".join(
        [
            f"Measured on {record.machine}, {record.measured_on}.",
            _table(["a task", *costs.steps], lines),
            _table(["a receipt, a run", "bytes"], sizes),
        ]
    )


def limit_table(record: Record) -> str:
    """What one of each could do by itself."""
    found = sorted(limits(record.measured.costs).items(), key=lambda limit: limit[1])
    return _table(["one", "jobs a second, at most"], [[name, _figure(at)] for name, at in found])


def size_table(record: Record) -> str:
    """How many of each, by rate."""
    sizes = [size(record.measured.costs, rate) for rate in RATES]
    lines = [[words, *(_figure(of(each)) for each in sizes)] for words, of in COUNTS.items()]
    return _table(["", *(f"{rate:,} jobs/s" for rate in RATES)], lines)


def point_table(record: Record) -> str:
    """The simulation beside what it is held against."""
    measured = record.measured
    found = simulate(measured.costs, slots=SLOTS, cores=measured.cores)
    lines = [
        [row.what.removeprefix("simulation: "), row.ours, row.reference.split(":")[0], row.ratio]
        for row in compared(found, measured.points)
    ]
    return _table(["", "simulated", "measured", "ratio"], lines)


def answer_table(record: Record) -> str:
    """What the simulation says of the clusters."""
    costs = record.measured.costs
    lines = []
    for rate in RATES:
        found = ask(costs, size(costs, rate))
        busy = ", ".join(f"{name} {share:.0%}" for name, share in found.busy.items())
        times = (_figure(found.p50_ms), _figure(found.p99_ms))
        lines.append([f"{rate:,}", f"{found.kept_up:.0%}", *times, busy])
    head = ["jobs/s", "keeps up with", "submit to start, p50 ms", "p99 ms", "busy"]
    return _table(head, lines)


COUNTS: Final[Mapping[str, Callable[[Size], float]]] = {
    "API processes, one task a call": lambda found: found.api_processes,
    "API processes, 1,000 tasks a call": lambda found: found.api_processes_in_bulk,
    "workers (parents)": lambda found: found.nodes,
    "slots for no-ops": lambda found: found.slots,
    "cores for them": lambda found: found.worker_cores,
    "MongoDB shards": lambda found: found.mongo_shards,
    "Redis servers": lambda found: found.redis_servers,
    "cores for one webhook a task": lambda found: found.webhook_cores,
    "GB of receipts a day": lambda found: found.stored_gb_a_day,
}
SECTIONS: Final[Mapping[str, Callable[[Record], str]]] = {
    "costs": cost_table,
    "points": point_table,
    "limits": limit_table,
    "sizes": size_table,
    "answers": answer_table,
}


def _measure() -> Record:
    scene = Scene.here()
    return Record(scene.machine, scene.date, measure(TASKS))


def _table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    columns = list(head)
    rows = [columns, ["---"] * len(columns), *map(list, lines)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _figure(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else figure(value)


def _rounded(value: object) -> object:
    """Five significant digits, at every depth: more were not measured."""
    match value:
        case float():
            return float(f"{value:.5g}")
        case dict():
            return {key: _rounded(each) for key, each in value.items()}
    return value


if __name__ == "__main__":
    main()
