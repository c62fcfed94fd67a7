"""Server-sent events: each once and in order, whatever is cut."""

import json

import httpx
import pytest
from httpx_sse import ServerSentEvent

from tests.unit.client_script import AWAY, Line, Script, answer, refused
from waybill.connection import Connection
from waybill.driver.wire import Wire
from waybill.error import ApiError, ConnectError
from waybill.flow.streaming import (
    KEEP_ALIVE_S,
    LAST_EVENT_ID,
    LONGEST_RETRY_S,
    SILENCE_S,
    Streaming,
)
from waybill.types import TaskEvent

OPEN = answer(200, b"", {"content-type": "text/event-stream; charset=utf-8"})
END = ServerSentEvent("end", json.dumps({"status": "COMPLETED"}))


def step(seq: int) -> ServerSentEvent:
    return ServerSentEvent("transition", json.dumps({"seq": seq}), str(seq))


def run(lines: list[Line], last_event_id: str | None = None) -> tuple[list[TaskEvent], Script]:
    script = Script(lines)
    flow = Streaming("tsk_1", last_event_id=last_event_id, patience_s=60).flow()
    return list(script.items(flow)), script


def asked_after(script: Script) -> list[str | None]:
    return [call.headers.get(LAST_EVENT_ID) for call in script.calls]


def test_every_event_comes_up_to_the_end_and_nothing_is_asked_for_after_it() -> None:
    progress = ServerSentEvent("progress", '{"done": 3}', "1")
    events, script = run([OPEN, step(1), progress, step(2), END])
    assert [(event["event"], event["id"]) for event in events] == [
        ("transition", "1"),
        ("progress", None),
        ("transition", "2"),
        ("end", None),
    ]
    assert [call.path for call in script.calls] == ["/v1/tasks/tsk_1/events"]
    assert script.pauses == []


@pytest.mark.parametrize("cut", [None, AWAY])
def test_a_cut_stream_goes_on_after_the_last_event(cut: Line) -> None:
    events, script = run([OPEN, step(1), cut, AWAY, OPEN, step(2), cut, OPEN, END])
    assert [event["id"] for event in events] == ["1", "2", None]
    assert asked_after(script) == [None, "1", "1", "2"]


def test_a_stream_may_begin_in_the_middle() -> None:
    _, script = run([OPEN, None, OPEN, step(8), None, OPEN, END], last_event_id="7")
    assert asked_after(script) == ["7", "7", "8"]


@pytest.mark.parametrize("timeout_s", [1.0, 60.0])
def test_a_stream_outlasts_the_servers_silence_whatever_the_time_out(timeout_s: float) -> None:
    _, script = run([OPEN, END])
    wire = Wire(Connection("http://127.0.0.1:9", "sk_x"), timeout_s)
    with httpx.Client() as http:
        patience_s = wire.request(http, script.calls[0]).extensions["timeout"]["read"]
    assert KEEP_ALIVE_S < patience_s <= SILENCE_S


def test_the_server_names_the_pause() -> None:
    _, script = run([OPEN, ServerSentEvent(retry=4_000), None, OPEN, END])
    assert script.pauses[0].shortest_s == 4


@pytest.mark.parametrize("retry_ms", [0, 10**9])
def test_a_pause_that_makes_no_sense_is_bounded(retry_ms: int) -> None:
    _, script = run([OPEN, ServerSentEvent(retry=retry_ms), None, OPEN, END])
    assert 0.1 <= script.pauses[0].shortest_s <= LONGEST_RETRY_S


def test_what_is_not_known_here_is_passed_over() -> None:
    noise = [ServerSentEvent(), ServerSentEvent("weather", "rain", "9"), ServerSentEvent("message")]
    events, script = run([OPEN, *noise, step(1), None, OPEN, END])
    assert [event["event"] for event in events] == ["transition", "end"]
    assert asked_after(script) == [None, "1"]


def test_a_server_that_is_away_too_long_is_given_up() -> None:
    script = Script([OPEN, step(1), *[AWAY] * 200])
    flow = Streaming("tsk_1", last_event_id=None, patience_s=60).flow()
    with pytest.raises(ConnectError):
        list(script.items(flow))
    assert 50 <= script.now_s - 1_000 <= 60
    assert len(script.calls) > 3


def test_a_stream_that_opens_and_says_nothing_over_and_over_is_given_up() -> None:
    script = Script([OPEN, step(1), None, *[OPEN, None] * 200])
    flow = Streaming("tsk_1", last_event_id=None, patience_s=60).flow()
    with pytest.raises(ConnectError, match="closed before the task's end"):
        list(script.items(flow))
    assert 3 < len(script.calls) < 200


def test_a_busy_server_is_asked_again_and_a_refusal_is_raised() -> None:
    events, script = run([refused(503, retry_after="3"), refused(429), OPEN, END])
    assert len(events) == 1
    assert script.pauses[0].shortest_s == 3
    with pytest.raises(ApiError) as raised:
        run([refused(404)])
    assert raised.value.status == 404
    with pytest.raises(ApiError, match="text/html"):
        run([answer(200, b"", {"content-type": "text/html"})])
