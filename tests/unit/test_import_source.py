"""Lines, rows and files are read with their numbers, from any position on, in the same order."""

import base64
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waybill.cli.command_error import CommandError
from waybill.cli.importing import line
from waybill.cli.importing.delimited import Delimited
from waybill.cli.importing.folder import Folder, file_property
from waybill.cli.importing.format import Format, Manner, format_of, source_of
from waybill.cli.importing.json_lines import JsonLines
from waybill.cli.importing.parquet import Parquet
from waybill.cli.importing.position import START, ChangedError, Entry, Flaw
from waybill.cli.importing.row import RowMapper
from waybill.cli.importing.rule import Schema
from waybill.cli.importing.source import Source

OPEN = Schema({})
SCHEMA = Schema.read({"properties": {"body": {"type": "text"}, "price": {"type": "integer"}}})
PIXEL = base64.b64decode("iVBORw0KGgo=")


def told(source: Source) -> list[tuple[str, object]]:
    return [
        (entry.place, entry.found.reason if isinstance(entry.found, Flaw) else entry.found)
        for entry in source.entries(START)
    ]


def check_any_start(source: Source) -> list[Entry]:
    """From the end of each entry on, exactly the entries after it come."""
    whole = list(source.entries(START))
    for index, entry in enumerate(whole):
        assert list(source.entries(entry.end)) == whole[index + 1 :]
    return whole


def test_json_lines_are_objects_or_told_with_their_number(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\n{oops\n[1]\n\xff\n{"b": NaN}\n{"c": "\xc3\xa9"}')
    assert told(JsonLines(path)) == [
        ("a.jsonl:1", {"a": 1}),
        (
            "a.jsonl:3",
            "is no JSON: Expecting property name enclosed in double quotes (character 2)",
        ),
        ("a.jsonl:4", "the line is no JSON object"),
        ("a.jsonl:5", "the line is no UTF-8 text"),
        ("a.jsonl:6", "is no JSON: NaN is no number of JSON"),
        ("a.jsonl:7", {"c": "é"}),
    ]
    assert len(check_any_start(JsonLines(path))) == 6


def test_flat_json_lines_are_mapped(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "x", "id": 7}\n')
    mapper = RowMapper(SCHEMA, {"text": "body", "id": "metadata.id"})
    assert told(JsonLines(path, mapper)) == [("a.jsonl:1", {"body": "x", "metadata": {"id": 7}})]


def test_a_line_that_is_too_long_is_told_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.write(b'{"a": "' + b"x" * (line.MAX_LINE_BYTES + line.BLOCK_BYTES) + b'"}\n{"b": 1}\n')
    first, second = told(JsonLines(path))
    assert first == ("a.jsonl:1", f"the line is longer than {line.MAX_LINE_BYTES:,} bytes")
    assert second == ("a.jsonl:2", {"b": 1})


def test_deep_nesting_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("[" * 100_000 + "\n")
    assert told(JsonLines(path)) == [("a.jsonl:1", "is nested too deeply")]


@given(st.lists(st.sampled_from(['{"a": 1}', "", "{", '{"b": "é"}', " "]), max_size=12))
def test_json_lines_go_on_from_any_entry(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    path.write_text("\n".join(lines))
    whole = check_any_start(JsonLines(path))
    assert len(whole) == sum(1 for text in lines if text.strip())


def test_a_file_may_grow_but_not_change_before_the_position(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\n')
    end = list(JsonLines(path).entries(START))[-1].end
    path.write_text('{"a": 1}\n{"a": 2}\n{"a": 3}\n')
    assert [entry.found for entry in JsonLines(path).entries(end)] == [{"a": 3}]
    for changed in ('{"a": 0}\n{"a": 2}\n{"a": 3}\n', '{"a": 1}\n'):
        path.write_text(changed)
        with pytest.raises(ChangedError, match=r"the first 2 lines of a\.jsonl"):
            list(JsonLines(path).entries(end))


def test_csv_cells_are_typed_and_bad_rows_told_by_their_first_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('body,price\r\n"two\nlines",1\r\nx,dear\r\n\r\nshort\r\n"",\r\ny,2\r\n')
    source = Delimited(path, RowMapper(SCHEMA))
    assert told(source) == [
        ("a.csv:2", {"body": "two\nlines", "price": 1}),
        ("a.csv:4", "'price' must be an integer such as 3, not 'dear'"),
        ("a.csv:6", "the row has 1 cells, the header 2"),
        ("a.csv:7", {}),
        ("a.csv:8", {"body": "y", "price": 2}),
    ]
    check_any_start(source)


def test_a_header_that_cannot_serve_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for text, sentence in (("", "is empty"), ('"oops\n', "header"), ("body,colour\n", "--map")):
        path.write_text(text)
        with pytest.raises(CommandError, match=sentence):
            list(Delimited(path, RowMapper(SCHEMA)).entries(START))


def test_tabs_separate_the_cells_of_tsv(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("body\tprice\na,b\t1\n")
    source = source_of(path, Manner(format_of(path)), SCHEMA)
    assert told(source) == [("a.tsv:2", {"body": "a,b", "price": 1})]


def test_parquet_is_read_group_by_group(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"body": [f"n{i}" for i in range(25)], "price": [*range(24), None]})
    pq.write_table(table, path, row_group_size=10)
    source = Parquet(path, RowMapper(SCHEMA))
    whole = check_any_start(source)
    assert source.size() == 25
    assert [entry.place for entry in whole[:2]] == ["a.parquet:1", "a.parquet:2"]
    assert whole[3].found == {"body": "n3", "price": 3}
    assert whole[24].found == {"body": "n24"}

    pq.write_table(table.slice(1), path)
    with pytest.raises(ChangedError, match="is not the file that it was"):
        list(source.entries(whole[5].end))


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_text("no")
    with pytest.raises(CommandError, match="is no Parquet file"):
        Parquet(path, RowMapper(SCHEMA)).size()


def test_the_files_of_a_folder_are_contents_of_one_property(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name, content in {
        "b.txt": b"second",
        "a.txt": b"first",
        "deep/er/c.txt": b"third",
        "bad.txt": b"\xff",
        ".hidden": b"no",
        ".git/x.txt": b"no",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    source = Folder(folder, "body", RowMapper(SCHEMA, {"parent": "metadata.label"}))
    found = told(source)
    assert [place for place, _ in found] == [
        "in/a.txt",
        "in/b.txt",
        "in/bad.txt",
        "in/deep/er/c.txt",
    ]
    assert found[0][1] == {
        "key_prefix": "a.txt",
        "blobs": [{"property": "body", "type": "text", "data": "first"}],
    }
    assert found[2][1] == "the file is no UTF-8 text"
    assert found[3][1] == {
        "key_prefix": "deep/er/c.txt",
        "metadata": {"label": "er"},
        "blobs": [{"property": "body", "type": "text", "data": "third"}],
    }
    assert source.size() == 4
    check_any_start(source)


def test_a_folder_may_get_files_after_the_position_only(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    source = Folder(tmp_path, "body", RowMapper(OPEN))
    end = list(source.entries(START))[-1].end
    (tmp_path / "c").write_text("c")
    assert [entry.place for entry in source.entries(end)] == [f"{tmp_path.name}/c"]
    os.utime(tmp_path / "a", ns=(1, 1))
    with pytest.raises(ChangedError):
        list(source.entries(end))
    (tmp_path / "a").unlink()
    (tmp_path / "b").unlink()
    with pytest.raises(ChangedError, match="fewer files"):
        list(source.entries(end))


def test_images_go_as_base64_and_other_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PIXEL)
    (tmp_path / "b.txt").write_text("no")
    schema = Schema.read({"properties": {"picture": {"type": "image"}}})
    good, bad = Folder(tmp_path, "picture", RowMapper(schema)).entries(START)
    assert isinstance(good.found, dict)
    assert json.dumps(good.found["blobs"]) == json.dumps(
        [
            {
                "property": "picture",
                "type": "image",
                "data": base64.b64encode(PIXEL).decode(),
            }
        ]
    )
    assert bad.found == Flaw("the file is no image by its name")


def test_the_property_of_files_is_the_only_one_that_takes_them() -> None:
    both = Schema.read({"properties": {"a": {"type": "image"}, "b": {"type": "text"}}})
    assert file_property(SCHEMA, None) == "body"
    assert file_property(both, "b") == "b"
    assert file_property(OPEN, "anything") == "anything"
    for schema, named in ((both, None), (OPEN, None), (SCHEMA, "price"), (SCHEMA, "colour")):
        with pytest.raises(CommandError, match="--property"):
            file_property(schema, named)


def test_the_format_is_told_by_the_name(tmp_path: Path) -> None:
    assert format_of(tmp_path) is Format.FOLDER
    for name, expected in (("a.NDJSON", Format.JSONL), ("b.csv", Format.CSV)):
        (tmp_path / name).touch()
        assert format_of(tmp_path / name) is expected
    (tmp_path / "c.xls").touch()
    with pytest.raises(CommandError, match="--format"):
        format_of(tmp_path / "c.xls")
    with pytest.raises(CommandError, match="no file or folder"):
        format_of(tmp_path / "none.csv")
