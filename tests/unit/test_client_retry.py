"""Which calls are made again, after what, and after how long."""

from datetime import timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.client_script import AWAY, NOW, Line, Script, answer, refused
from waybill.error import ApiError, ConnectError
from waybill.flow.refusal import refusal, retry_after_s
from waybill.flow.retry import LONGEST_DELAY_S, Patience, backoff, persistent
from waybill.flow.step import Call, json_of
from waybill.flow.verb import KEY, act, any_call, ask, change, create, delete, get

PASSING = (429, 502, 503, 504)
IN_PROGRESS = refused(409, retry_after="1", details={"idempotency": "in_progress"})
PATH = "/v1/things"


def run(lines: list[Line], call: Call | None = None, patience: Patience | None = None) -> Script:
    script = Script(lines)
    script.run(persistent(call or get(PATH), patience or Patience()))
    return script


@pytest.mark.parametrize("call", [get(PATH), delete(PATH), ask(PATH), create(PATH)])
@pytest.mark.parametrize("fault", [AWAY, *map(refused, PASSING)])
def test_a_call_that_is_safe_to_repeat_is_made_again(call: Call, fault: Line) -> None:
    script = run([fault, fault, answer()], call)
    assert script.calls == [call] * 3  # the same key each time
    assert [pause.longest_s for pause in script.pauses] == [0.5, 1.0]


@pytest.mark.parametrize("call", [act(PATH), change(PATH, name="x")])
@pytest.mark.parametrize("fault", [AWAY, *map(refused, PASSING)])
def test_a_call_that_is_not_is_made_once(call: Call, fault: Line) -> None:
    with pytest.raises((ApiError, ConnectError)):
        run([fault], call)


@given(st.integers(300, 599).filter(lambda status: status not in PASSING))
def test_no_other_answer_is_asked_for_twice(status: int) -> None:
    with pytest.raises(ApiError) as raised:
        run([refused(status)])
    assert raised.value.status == status


def test_the_tries_are_counted() -> None:
    with pytest.raises(ApiError) as raised:
        run([*[refused(503)] * 4, refused(502)])
    assert raised.value.status == 502
    with pytest.raises(ConnectError):
        run([AWAY], patience=Patience(max_tries=1))


def test_our_own_first_try_is_waited_for_until_it_is_served_or_given_up() -> None:
    script = run([AWAY, *[IN_PROGRESS] * 15, answer()], create(PATH))
    assert all(pause.shortest_s >= 1 for pause in script.pauses[1:])
    with pytest.raises(ApiError):
        run([refused(409)], create(PATH))  # somebody else has it: no waiting
    with pytest.raises(ApiError) as raised:
        run([IN_PROGRESS] * 100, create(PATH))
    assert raised.value.details == {"idempotency": "in_progress"}


def test_a_retry_after_beyond_the_patience_ends_it_at_once() -> None:
    with pytest.raises(ApiError) as raised:
        run([refused(429, retry_after="3600")])
    assert raised.value.retry_after_s == 3600


@given(st.lists(st.one_of(st.none(), st.integers(0, 200)), min_size=1, max_size=8))
def test_pauses_keep_to_retry_after_and_to_the_bound(asked: list[int | None]) -> None:
    faults = [refused(503, retry_after=None if s is None else str(s)) for s in asked]
    script, patience = Script([*faults, answer()]), Patience(max_tries=20, within_s=90)
    began_s = script.now_s
    try:
        script.run(persistent(get(PATH), patience))
    except ApiError:
        assert sum(s or 0 for s in asked) >= 90
    assert script.now_s - began_s <= patience.within_s
    for pause, least_s in zip(script.pauses, asked, strict=False):
        assert pause.shortest_s == (least_s or 0)
        assert pause.longest_s <= pause.shortest_s + LONGEST_DELAY_S


@given(st.integers(0, 1_000))
def test_the_backoff_grows_to_its_cap_with_full_jitter(number: int) -> None:
    pause = backoff(number, AWAY)
    assert pause.shortest_s == 0
    assert pause.longest_s == min(0.5 * 2**number, 8.0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("2", 2),
        ("1.5", 1.5),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        ("soon", None),
        (format_datetime(NOW + timedelta(seconds=40), usegmt=True), 40),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0),
    ],
)
def test_retry_after_is_read_in_both_forms(text: str, seconds: float | None) -> None:
    assert retry_after_s({"retry-after": text}, NOW) == seconds


@given(st.text())
def test_no_retry_after_is_a_fault_of_ours(text: str) -> None:
    found = retry_after_s({"retry-after": text}, NOW)
    assert found is None or found >= 0


@pytest.mark.parametrize("status", [401, 403, 500])
@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"error": null}', b'{"error": {}}', b"\xff"])
def test_an_error_that_is_no_json_of_ours_is_a_sentence_all_the_same(
    status: int, body: bytes
) -> None:
    error = refusal(answer(status, body))
    assert str(status) in str(error)
    assert (error.status, error.type, error.details) == (status, "", {})


@pytest.mark.parametrize("details", [["a"], "text", 3])
def test_details_of_another_form_are_left_out(details: object) -> None:
    error = refusal(answer(400, {"error": {"message": "No.", "details": details}}))
    assert (str(error), error.details) == ("No.", {})


def test_a_redirect_says_where_to() -> None:
    error = refusal(answer(301, b"", {"location": "https://elsewhere.test/"}))
    assert "https://elsewhere.test/" in str(error)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"", b"3"])
def test_a_page_of_something_else_is_no_answer(body: bytes) -> None:
    with pytest.raises(ApiError, match="is this the URL of a Waybill API"):
        json_of(answer(200, body))


def test_any_call_follows_the_same_rules() -> None:
    made = any_call("post", "/v1/buckets", {"bucket_name": "b"})
    assert made.repeatable
    assert made.headers[KEY] != any_call("POST", "/v1/buckets").headers[KEY]
    assert any_call("POST", "/v1/buckets", key="mine").headers == {KEY: "mine"}
    for path in ("/v1/tasks/list", "/v1/tasks/list?limit=5", "/v1/collections/c/documents/count"):
        assert any_call("POST", path) == Call("POST", path, repeatable=True)
    assert any_call("GET", "/v1/health").repeatable
    assert not any_call("PATCH", "/v1/buckets/b").repeatable
    for path in ("v1/tasks", "http://elsewhere.test/v1/tasks", "//elsewhere.test/v1", ""):
        with pytest.raises(ValueError, match="begins with one slash"):
            any_call("GET", path)
