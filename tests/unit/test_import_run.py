"""An import that is stopped anywhere neither loses nor doubles anything."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waybill.cli.command_error import CommandError
from waybill.cli.importing.chunk import BOUNDS, Bounds, drafts
from waybill.cli.importing.delivery import REMEMBERED_S, AfterLoss, Delivery, key_mark
from waybill.cli.importing.journal import BadEntry, Journal
from waybill.cli.importing.json_lines import JsonLines
from waybill.cli.importing.position import START, JsonObject, Position
from waybill.cli.importing.run import Summary, run
from waybill.error import ApiError

OPTIONS: JsonObject = {"format": "jsonl"}
MARK = key_mark("sk_one")
SMALL = Bounds(objects=3)


class PowerCutError(BaseException):
    """Where it strikes, everything ends."""


@dataclass
class Server:
    """Stores objects once for each key; dies, on demand, before or after that."""

    stored: list[JsonObject] = field(default_factory=list)
    answers: dict[str, JsonObject] = field(default_factory=dict)
    cuts: list[str] = field(default_factory=list)  # one a call: "", "before" or "after"

    def post(self, objects: Sequence[JsonObject], request_key: str) -> JsonObject:
        cut = self.cuts.pop(0) if self.cuts else ""
        if cut == "before":
            raise PowerCutError
        if request_key not in self.answers:
            good = [each for each in objects if "bad" not in each]
            self.stored += good
            self.answers[request_key] = {
                "succeeded": [{"object_id": f"obj_{each['n']}"} for each in good],
                "failed": [
                    {"index": index, "error": "is\nbad"}
                    for index, each in enumerate(objects)
                    if "bad" in each
                ],
            }
        if cut == "after":
            raise PowerCutError
        return self.answers[request_key]


@dataclass
class Told:
    """What a run says on its way."""

    places: list[str] = field(default_factory=list)

    def reached(self, position: Position) -> None:
        pass

    def bad(self, entry: BadEntry) -> None:
        self.places.append(entry.place)


def imported(
    path: Path,
    server: Server,
    *,
    mark: str = MARK,
    after_loss: AfterLoss = AfterLoss.ASK,
    max_bad: int | None = None,
    bounds: Bounds = SMALL,
) -> Summary:
    journal = Journal.open(path.with_suffix(".journal"), OPTIONS)
    try:
        delivery = Delivery(journal, server.post, mark, after_loss)
        return run(JsonLines(path), delivery, Told(), max_bad=max_bad, bounds=bounds)
    finally:
        journal.close()


def write(path: Path, count: int, *, bad: Callable[[int], bool] = lambda _: False) -> Path:
    lines = ['{"oops' if bad(n) else json.dumps({"n": n}) for n in range(count)]
    path.write_text("".join(f"{text}\n" for text in lines))
    return path


def numbers(server: Server) -> list[object]:
    return [each["n"] for each in server.stored]


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 12),
    cuts=st.lists(st.sampled_from(["", "before", "after"]), max_size=6),
    torn=st.integers(0, 40),
)
def test_whatever_is_cut_each_object_is_stored_once(
    tmp_path_factory: pytest.TempPathFactory, count: int, cuts: list[str], torn: int
) -> None:
    path = write(tmp_path_factory.mktemp("run") / "a.jsonl", count, bad=lambda n: n == 5)
    server = Server(cuts=list(cuts))
    while True:
        try:
            summary = imported(path, server)
            break
        except PowerCutError:
            # What was being written to the journal at that moment may be there in part.
            with path.with_suffix(".journal").open("ab") as file:
                file.write(b'{"end": {"offset": 99, "number": 99, "digest"'[:torn])
    expected = [n for n in range(count) if n != 5]
    assert numbers(server) == expected
    assert summary.stored == len(expected)
    assert summary.bad == (1 if count > 5 else 0)
    assert imported(path, server).stored_before == len(expected)
    assert numbers(server) == expected


def test_bad_lines_are_in_the_journal_with_the_server_s_words(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"n": 1}\n{oops\n{"n": 2, "bad": 1}\n{"n": 3}\n')
    server = Server()
    summary = imported(path, server)
    assert (summary.stored, summary.bad, summary.is_whole) == (2, 2, True)
    journal = Journal.open(path.with_suffix(".journal"), OPTIONS)
    first, second = journal.bad_entries()
    assert first.place == "a.jsonl:2"
    assert second == BadEntry("a.jsonl:3", "is bad")
    assert list(journal.object_ids()) == ["obj_1", "obj_3"]
    journal.close()


def test_a_bad_line_too_many_stops_before_it_and_a_mended_file_goes_on(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", 8, bad=lambda n: n == 4)
    server = Server()
    summary = imported(path, server, max_bad=0)
    assert (summary.stored, summary.bad, summary.is_whole) == (4, 0, False)
    assert summary.stopped_at is not None
    assert summary.stopped_at.place == "a.jsonl:5"
    write(path, 9)
    assert imported(path, server, max_bad=0) == Summary(9, 0, 4, is_whole=True)
    assert numbers(server) == list(range(9))


def test_objects_that_the_server_refuses_count_as_bad(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"n": {n}, "bad": 1}}\n' for n in range(9)))
    assert imported(path, Server(), max_bad=2) == Summary(0, 3, 0, is_whole=False)


def test_a_changed_beginning_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", 6)
    server = Server()
    imported(path, server)
    path.write_text(path.read_text().replace('"n": 0', '"n": 7'))
    with pytest.raises(CommandError, match=r"not what they were.*--restart"):
        imported(path, server)
    assert numbers(server) == list(range(6))


def lost(path: Path, server: Server) -> None:
    """A run whose first request was carried out, but not heard of."""
    server.cuts = ["after"]
    with pytest.raises(PowerCutError):
        imported(path, server)


@pytest.mark.parametrize("after_loss", list(AfterLoss))
def test_a_request_that_nobody_can_ask_after_is_left_to_the_user(
    tmp_path: Path, after_loss: AfterLoss
) -> None:
    path, server = write(tmp_path / "a.jsonl", 3), Server()
    lost(path, server)
    journal = path.with_suffix(".journal")
    first, intent = map(json.loads, journal.read_text().splitlines())
    intent["sending"]["at"] -= REMEMBERED_S + 60
    journal.write_text(f"{json.dumps(first)}\n{json.dumps(intent)}\n")
    server.answers.clear()  # as the server forgets
    match after_loss:
        case AfterLoss.ASK:
            with pytest.raises(CommandError, match=r"23 hours ago.*--after-loss send"):
                imported(path, server)
        case AfterLoss.SEND:
            assert imported(path, server, after_loss=after_loss).stored == 3
            assert numbers(server) == [0, 1, 2, 0, 1, 2]
        case AfterLoss.SKIP:
            assert imported(path, server, after_loss=after_loss).stored == 0
            assert numbers(server) == [0, 1, 2]


def test_another_key_or_other_content_after_a_loss_is_told(tmp_path: Path) -> None:
    path, server = write(tmp_path / "a.jsonl", 3), Server()
    lost(path, server)
    with pytest.raises(CommandError, match="another API key"):
        imported(path, server, mark=key_mark("sk_other"))
    write(path, 2)
    with pytest.raises(CommandError, match="what it held has changed"):
        imported(path, server)


def test_a_file_that_grew_after_a_loss_goes_on_as_if_nothing_was(tmp_path: Path) -> None:
    path, server = write(tmp_path / "a.jsonl", 2), Server()
    lost(path, server)
    write(path, 7)
    assert imported(path, server).stored == 7
    assert numbers(server) == list(range(7))


def test_other_bounds_and_limits_make_the_same_request_after_a_loss(tmp_path: Path) -> None:
    path, server = write(tmp_path / "a.jsonl", 9, bad=lambda n: n == 1), Server()
    lost(path, server)
    summary = imported(path, server, max_bad=0, bounds=Bounds(objects=1))
    assert (summary.stored, summary.bad, summary.is_whole) == (3, 1, False)
    assert numbers(server) == [0, 2, 3]


def test_a_chunk_that_was_refused_as_a_whole_is_no_loss(tmp_path: Path) -> None:
    path, server = write(tmp_path / "a.jsonl", 3), Server()
    journal = Journal.open(path.with_suffix(".journal"), OPTIONS)

    def refuse(objects: Sequence[JsonObject], request_key: str) -> JsonObject:
        raise ApiError(413, {"message": "too large"})

    with pytest.raises(ApiError):
        run(JsonLines(path), Delivery(journal, refuse, MARK), Told(), max_bad=None)
    journal.close()
    assert imported(path, server, mark=key_mark("sk_other")).stored == 3


def test_options_may_change_only_before_anything_was_sent(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", 1)
    place = path.with_suffix(".journal")
    Journal.open(place, {"format": "csv"}).close()
    imported(path, Server())
    with pytest.raises(CommandError, match=r"other options.*--restart"):
        Journal.open(place, {"format": "csv"})
    again = Journal.open(place, {"format": "csv"}, restart=True)
    assert (again.standing.stored, again.standing.position.offset) == (0, 0)
    again.close()


def test_a_second_run_at_the_same_time_is_refused(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "j", OPTIONS)
    with pytest.raises(CommandError, match="Another run"):
        Journal.open(tmp_path / "j", OPTIONS)
    journal.close()
    assert (tmp_path / "j").stat().st_mode & 0o077 == 0


def test_a_batch_has_what_was_stored_since_the_one_before(tmp_path: Path) -> None:
    path, server = write(tmp_path / "a.jsonl", 2), Server()
    place = path.with_suffix(".journal")
    imported(path, server)
    journal = Journal.open(place, OPTIONS)
    assert list(journal.object_ids()) == ["obj_0", "obj_1"]
    journal.note_batch("btch_1")
    assert list(journal.object_ids()) == ["obj_0", "obj_1"]
    journal.close()
    write(path, 4)
    imported(path, server)
    journal = Journal.open(place, OPTIONS)
    assert (journal.standing.batches, journal.standing.batch_id) == (1, None)
    assert list(journal.object_ids()) == ["obj_2", "obj_3"]
    journal.close()


def test_chunks_stay_below_their_bounds(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("w") as file:
        for n in range(2_500):
            file.write(json.dumps({"n": n, "text": "x" * (20_000 if n < 1_000 else 1)}) + "\n")
    entries = list(JsonLines(path).entries(START))
    made = list(drafts(iter(entries), START, bad_left=None))
    assert [each["n"] for draft in made for each in draft.objects] == list(range(2_500))
    for draft in made:
        size_bytes = sum(len(json.dumps(each, separators=(",", ":"))) for each in draft.objects)
        assert size_bytes <= BOUNDS.size_bytes
        assert len(draft.objects) <= BOUNDS.objects
    assert len(made) == 4  # two of 8 MiB, the rest of the large ones with small ones, the last
