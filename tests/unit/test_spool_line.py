"""Lines of a spool, and what becomes of several that speak of one run; pure."""

from pathlib import Path

import pytest

from app.settings import Settings
from app.tracking.event import ProcessingEvent
from app.tracking.owner import new_owner
from app.tracking.spooling.bulk import folded
from app.tracking.spooling.line import end_line, owner_line, owner_of, read_line, start_line
from app.tracking.spooling.spool import spool_folder

URL = "postgresql://waybill:one@db.example:5432/runs"


def run(reference: str = "r") -> ProcessingEvent:
    return ProcessingEvent(service_name="s", processor_name="p", reference=reference)


def ended(event: ProcessingEvent) -> ProcessingEvent:
    event.finish_job("failure", "why", 3)
    return event


def test_a_start_has_the_whole_row_in_one_line() -> None:
    event = run("größer\n")
    event.event = {"text": "a\nb\u2028c", "number": 1e300}
    line = start_line(event)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    found = read_line(line)
    assert found.pop("kind") == "started"
    assert found == {**vars(event), "started_at": event.started_at.isoformat()}


def test_what_is_no_line_of_a_run_is_refused() -> None:
    for bad in (b"", b"[]\n", b'{"kind": "other"}\n', b'{"kind": "ended"', b"[" * 100_000):
        with pytest.raises(ValueError, match=r"."):
            read_line(bad)


def test_the_first_line_names_the_owner() -> None:
    owner = new_owner()
    assert owner_of(owner_line(owner)) == owner
    with pytest.raises(ValueError, match="owner"):
        owner_of(start_line(run()))


def test_a_run_that_ends_among_the_lines_is_one_row() -> None:
    whole, begun, left = run("a"), run("b"), run("c")
    lines = [read_line(start_line(each)) for each in (whole, begun)]
    lines += [read_line(end_line(ended(each))) for each in (whole, left)]
    lines += lines  # as a drainer reads them that comes after another
    starts, ends = folded(lines)
    assert [(each["reference"], each["status"]) for each in starts] == [
        ("a", "failure"),
        ("b", "in-progress"),
    ]
    assert (starts[0]["status_note"], starts[0]["output_rows"]) == ("why", 3)
    assert [each["processing_id"] for each in ends] == [left.processing_id]


def test_a_database_has_one_folder_whoever_signs_in(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    folder = spool_folder(settings, URL)
    assert folder.is_relative_to(tmp_path)
    assert spool_folder(settings, URL.replace("waybill:one", "other:two")) == folder
    assert spool_folder(settings, URL.replace("5432", "5433")) != folder
    assert folder.name.isalnum()
    named = Settings(data_dir=tmp_path, spool_dir=tmp_path / "elsewhere")
    assert spool_folder(named, URL) == tmp_path / "elsewhere"
