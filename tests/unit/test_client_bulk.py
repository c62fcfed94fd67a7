"""Calls on many things, and lists of many pages, as the flows they are."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

import pytest

from tests.unit.client_script import Script, answer, refused
from waybill.error import ApiError
from waybill.flow.bulk import in_bulk
from waybill.flow.step import Answer, Call
from waybill.flow.verb import KEY, walk
from waybill.types import JsonObject, StoredObject

PATH = "/v1/buckets/b/objects/batch"


def failure(index: int) -> JsonObject:
    problem = {"type": "t", "location": ["body", "objects", index, "body", 0], "message": "m"}
    details = {"validation_errors": [problem]}
    return {"index": index, "object_index": index, "error": "m", "details": details}


def partial(count: int, *, failed: int) -> Answer:
    """The answer to so many things, of which one failed."""
    made = [{"object_id": f"{n}", "object_index": n} for n in range(count) if n != failed]
    return answer(200, {"succeeded": made, "failed": [failure(failed)]})


def bodies(script: Script) -> list[Any]:
    return [call.body for call in script.calls]


def test_many_things_are_sent_in_parts_and_answered_as_one() -> None:
    script = Script([partial(1_000, failed=999), partial(1_000, failed=0), partial(500, failed=7)])
    things = [{"n": n} for n in range(2_500)]
    whole = script.run(in_bulk(StoredObject, PATH, "objects", things, key="mine"))
    assert [len(body["objects"]) for body in bodies(script)] == [1_000, 1_000, 500]
    assert [thing for body in bodies(script) for thing in body["objects"]] == things
    assert [call.headers[KEY] for call in script.calls] == ["mine", "mine-1", "mine-2"]
    places = [made.get("object_index") for made in whole["succeeded"]]
    assert places == [n for n in range(2_500) if n not in (999, 1_000, 2_007)]
    for failed, index in zip(whole["failed"], (999, 1_000, 2_007), strict=True):
        assert failed["index"] == failed["object_index"] == index
        [problem] = failed["details"]["validation_errors"]
        assert problem["location"] == ["body", "objects", index, "body", 0]
    counts = (whole["total_requested"], whole["succeeded_count"], whole["failed_count"])
    assert counts == (2_500, 2_497, 3)


def test_nothing_is_not_sent() -> None:
    whole = Script([]).run(in_bulk(StoredObject, PATH, "objects", [], key=None))
    assert (whole["succeeded"], whole["failed"], whole["total_requested"]) == ([], [], 0)


def test_each_bulk_call_has_a_key_of_its_own() -> None:
    script = Script([partial(1, failed=0)] * 2)
    for _ in range(2):
        script.run(in_bulk(StoredObject, PATH, "objects", [{}], key=None))
    first, second = (call.headers[KEY] for call in script.calls)
    assert first != second


def test_a_part_that_fails_as_a_whole_is_raised() -> None:
    error = ApiError(413, {"message": "The body is too large."})
    script = Script([partial(1_000, failed=0), error])
    with pytest.raises(ApiError, match="too large"):
        script.run(in_bulk(StoredObject, PATH, "objects", [{}] * 1_001, key=None))


def page(rows: list[int], cursor: str | None) -> Answer:
    content: Mapping[str, object] = {"results": rows, "pagination": {"next_cursor": cursor}}
    return answer(200, content)


def test_a_list_goes_from_cursor_to_cursor_with_the_same_question() -> None:
    script = Script([page([1, 2], "a"), page([], "b"), page([3], None)])
    rows = script.items(walk(int, "/v1/tasks/list", {"status": "FAILED"}, page_size=2))
    assert list(rows) == [1, 2, 3]
    asked = {"status": "FAILED", "limit": 2}
    assert bodies(script) == [asked, asked | {"cursor": "a"}, asked | {"cursor": "b"}]
    assert all(call.repeatable for call in script.calls)


def test_pages_that_nobody_asks_for_are_not_read() -> None:
    script = Script([page([1, 2], "a")])
    rows = script.items(walk(int, "/v1/tasks/list", {}, page_size=2))
    assert list(islice(rows, 2)) == [1, 2]
    assert script.calls == [Call("POST", "/v1/tasks/list", {"limit": 2}, repeatable=True)]


@pytest.mark.parametrize("page_size", [0, -1, 1_001])
def test_a_page_size_that_no_list_takes_is_refused_before_anything_is_sent(page_size: int) -> None:
    with pytest.raises(ValueError, match="1 to 1000"):
        walk(int, "/v1/tasks/list", {}, page_size=page_size)


def test_a_refused_page_is_an_error_not_an_end() -> None:
    script = Script([page([1], "a"), ApiError(refused(503).status, {"message": "away"})])
    rows = script.items(walk(int, "/v1/tasks/list", {}, page_size=1))
    assert next(rows) == 1
    with pytest.raises(ApiError, match="away"):
        next(rows)
