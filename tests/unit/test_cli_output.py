"""What commands print, and the options that they share."""

import inspect
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
import typer

from waybill.cli import output
from waybill.cli.json_option import object_of
from waybill.cli.output import Column, Output
from waybill.cli.spread import spread

COLUMNS = (Column("ID", "id", whole=True), Column("NAME", "name"))
ROWS: list[dict[str, object]] = [
    {"id": "tsk_1", "name": "a", "more": {"x": 1}},
    {"id": "tsk_2", "name": None},
]


def test_a_list_is_a_table_json_lines_or_ids(capsys: pytest.CaptureFixture[str]) -> None:
    Output().many(ROWS, COLUMNS, id_key="id")
    assert capsys.readouterr().out == "ID     NAME\ntsk_1  a\ntsk_2\n"
    Output(as_json=True).many(ROWS, COLUMNS, id_key="id")
    printed = capsys.readouterr().out
    assert printed == (
        '{"id": "tsk_1", "name": "a", "more": {"x": 1}}\n{"id": "tsk_2", "name": null}\n'
    )
    Output(quiet=True).many(ROWS, COLUMNS, id_key="id")
    assert capsys.readouterr().out == "tsk_1\ntsk_2\n"


def test_an_empty_list_is_said_to_people_only(capsys: pytest.CaptureFixture[str]) -> None:
    Output().many([], COLUMNS, id_key="id")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "Nothing found.\n")
    Output(as_json=True).many([], COLUMNS, id_key="id")
    assert capsys.readouterr() == ("", "")


def test_without_a_terminal_there_are_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    Output().one({"id": "tsk_1", "status": "FAILED", "error": None}, id_key="id")
    assert capsys.readouterr().out == "id      tsk_1\nstatus  FAILED\n"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        ({"done": 400, "total": 1_000, "percent": 40.0, "rate": 52.2}, "40 % (400 of 1,000, 52/s)"),
        ({"done": 4, "total": None, "percent": None, "rate": None}, "4"),
        ({"processed": 3, "total": 3, "percent": 100.0, "items_per_second": 9}, "100 % (3 of 3)"),
    ],
)
def test_progress_in_words(value: object, expected: str) -> None:
    assert output.progress(value) == expected


def test_marks_in_what_a_server_says_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"id": "a:100:", "name": "[red]x[/oops]"}
    Output().many([row], COLUMNS, id_key="id")
    Output().one(row, id_key="id")
    Output().failed("a:100: [/oops]")
    Output().said("a:100: [/oops]")
    printed = capsys.readouterr()
    assert printed.out == (
        "ID      NAME\na:100:  [red]x[/oops]\nid    a:100:\nname  [red]x[/oops]\n"
    )
    assert printed.err == "a:100: [/oops]\na:100: [/oops]\n"


def test_times_are_told_by_their_age() -> None:
    now = datetime.now(UTC)
    assert output.age((now - timedelta(hours=3)).isoformat()) == "3 h ago"
    assert output.age((now + timedelta(days=3, hours=1)).isoformat()) == "in 3 days"
    assert output.age(None) == ""


def test_a_long_value_is_cut_and_says_where_the_rest_is() -> None:
    assert output.plain("x" * 1_000).endswith("x… (--json has all)")
    assert output.plain({"a": [1, "é"]}) == '{"a": [1, "é"]}'


@dataclass(frozen=True)
class Colours:
    """An example of shared options."""

    red: int = 1
    blue: list[str] = field(default_factory=list)


@spread
def painted(name: str, colours: Colours, size: int = 3) -> tuple[str, Colours, int]:
    """A command."""
    return name, colours, size


def test_shared_options_are_spread_and_gathered_again() -> None:
    parameters = inspect.signature(painted).parameters
    assert {name: each.default for name, each in parameters.items()} == {
        "name": inspect.Parameter.empty,
        "red": 1,
        "blue": [],
        "size": 3,
    }
    assert painted(name="x", red=2, blue=["b"], size=4) == ("x", Colours(2, ["b"]), 4)


def test_json_in_an_option_is_refused_with_a_sentence() -> None:
    assert object_of('{"a": 1}') == {"a": 1}
    for text in ("{oops", "[1]", "@/nowhere/at/all.json"):
        with pytest.raises(typer.BadParameter):
            object_of(text)
