"""How benchmarks take turns, what their rows say, and the table that they make."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.catalog import MODULES
from bench.report import Scene, report, table
from bench.rounds import Comparison, alternate
from bench.row import Row, at_least, at_most, beside, figure, noted, within
from bench.run import Outcome, run_all

SCENE = Scene("one machine", "Python 3", "2026-11-22", "abc123")
FOUND = Comparison((90.0, 80.0, 100.0), (100.0, 100.0, 100.0))


def told(name: str, calls: list[str], values: Iterator[float]) -> Callable[[], float]:
    def measure() -> float:
        calls.append(name)
        return next(values)

    return measure


def test_both_take_turns_at_being_first_and_the_warm_up_counts_for_nothing() -> None:
    calls: list[str] = []
    ours = told("ours", calls, iter([1.0, 20.0, 30.0, 40.0]))
    reference = told("reference", calls, iter([1000.0, 10.0, 10.0, 10.0]))
    found = alternate(ours, reference, rounds=3)
    assert found == Comparison((20.0, 30.0, 40.0), (10.0, 10.0, 10.0))
    assert calls == [*("reference", "ours"), *("ours", "reference")] * 2


def test_the_ratio_is_the_median_of_the_rounds_ratios() -> None:
    found = Comparison((10.0, 30.0, 100.0), (10.0, 10.0, 200.0))
    assert found.ratios == [1.0, 3.0, 0.5]
    assert found.ratio == 1.0


@pytest.mark.parametrize(("reach", "is_reached"), [(0.9, True), (0.91, False)])
def test_more_is_better_of_rates(reach: float, is_reached: bool) -> None:
    row = at_least("jobs", FOUND, reach=reach, unit="jobs/s", against="plain")
    assert row.is_reached is is_reached
    assert row.reach == f"≥ {reach:g} ×"
    assert (row.ours, row.reference) == ("90 jobs/s", "100 jobs/s: plain")
    assert row.ratio == "0.90 (0.80–1.00)"


@pytest.mark.parametrize(("reach", "is_reached"), [(0.9, True), (0.89, False)])
def test_less_is_better_of_times(reach: float, is_reached: bool) -> None:
    row = at_most("a fit", FOUND, reach=reach, unit="s", against="bare")
    assert row.is_reached is is_reached
    assert row.reach == f"≤ {reach:g} ×"


def test_what_is_told_is_not_judged() -> None:
    assert beside("jobs", FOUND, unit="jobs/s", against="another").is_reached is None
    assert noted("parts", "read 1 s").is_reached is None


def test_a_value_at_its_bound_is_reached() -> None:
    assert within("start", 30.0, reach=30, unit="ms").is_reached
    row = within("start", 30.1, reach=30, unit="ms", note="p99 40 ms")
    assert not row.is_reached
    assert row.ours == "30.1 ms, p99 40 ms"


def test_figures_have_the_digits_that_a_reader_compares() -> None:
    assert [figure(each) for each in (12_345.6, 100.4, 99.94, 0.01234)] == [
        *("12,346", "100", "99.9", "0.0123")
    ]


def test_the_table_says_of_each_row_whether_its_number_was_reached() -> None:
    rows = [Row("a|b", "1", is_reached=True), Row("c", "2", is_reached=False), Row("d", "3")]
    head, _, *lines = table(rows)
    assert head.startswith("| What | Ours | Reference |")
    assert lines == [
        "| a/b | 1 |  |  |  | yes |",
        "| c | 2 |  |  |  | no |",
        "| d | 3 |  |  |  |  |",
    ]


def test_the_report_says_what_where_when_and_how() -> None:
    outcomes = [
        Outcome("noop", (Row("jobs", "1"),), 60.0, "abc123"),
        Outcome("batch", (Row("batch", "failed"),), 60.0, "abc123", has_failed=True),
    ]
    text = report(outcomes, SCENE)
    assert "earlier" not in text
    for part in ("| jobs | 1 |", "| batch | failed |", "one machine", "Python 3", "abc123"):
        assert part in text
    assert "2026-11-22, commit abc123; 2 minutes in all" in text


def test_the_report_says_what_was_measured_earlier() -> None:
    outcomes = [
        Outcome("noop", (Row("jobs", "1"),), 60.0, "abc123"),
        Outcome("batch", (Row("batch", "2"),), 60.0, "abc000"),
        Outcome("latency", (Row("latency", "3"),), 60.0, "abc000"),
    ]
    assert "- Kept from runs at earlier commits: batch, latency (abc000)" in report(outcomes, SCENE)


def test_one_that_fails_is_a_row_that_says_so_and_stops_no_other() -> None:
    outcomes = list(run_all(["nope", "neither"]))
    assert [each.name for each in outcomes] == ["nope", "neither"]
    for outcome in outcomes:
        assert outcome.has_failed
        assert outcome.rows == (Row(outcome.name, "failed", is_reached=False),)


def test_what_was_measured_is_kept_and_not_measured_again(tmp_path: Path) -> None:
    kept = Outcome("noop", (Row("jobs", "1", is_reached=True),), 5.0, "abc123")
    (tmp_path / "noop.json").write_text(json.dumps(asdict(kept)))
    found, failed = run_all(["noop", "nope"], kept=tmp_path)
    assert found == kept
    assert failed.has_failed
    assert [path.name for path in tmp_path.iterdir()] == ["noop.json"]  # a failure is run again


def test_every_name_is_a_module() -> None:
    assert [name for name, module in MODULES.items() if find_spec(module) is None] == []


def test_a_name_that_is_no_benchmark_is_refused_with_those_that_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["nope"])
    said = capsys.readouterr().err
    assert "no benchmark is named nope" in said
    assert all(name in said for name in MODULES)
