"""What follows from the result of an attempt."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.deliveries.attempt import MAX_ATTEMPTS, Result
from app.deliveries.delivery import Delivery, ErrorKind, Stage
from app.deliveries.health import Health
from app.deliveries.retry import JITTER, SLOW_DOWN, Schedule, Verdict, read_retry_after
from app.webhooks.channel import Channel

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
DAY = timedelta(hours=24)
DELAYS_S = (0.0, 5.0, 300.0, 1_800.0)
SCHEDULE = Schedule(DELAYS_S)
TIMEOUT = Result(error_kind=ErrorKind.TIMEOUT, error="late")

FAILURES = st.sampled_from([*set(ErrorKind) - {ErrorKind.REFUSED_ADDRESS, ErrorKind.STATUS}])
STATUSES = st.sampled_from([302, 400, 404, 500, *SLOW_DOWN])


def delivery(round_attempts: int = 0, attempt_count: int = 1) -> Delivery:
    return Delivery(
        delivery_id="dlv_1",
        mailbox_id="wh_1",
        channel=Channel.WEBHOOK,
        webhook_id="wh_1",
        url=None,
        namespace_id="ns_1",
        event_id="evt_1",
        event_type="task.completed",
        task_id=None,
        sequence=None,
        body=b"{}",
        status=Stage.SENDING,
        due_at=NOW,
        attempt_count=attempt_count,
        round=0,
        round_attempts=round_attempts,
    )


def answered(status_code: int, retry_after_s: float | None = None) -> Result:
    return Result(status_code, 1, ErrorKind.STATUS, "no", retry_after_s)


def judge(result: Result, round_attempts: int = 0, *, failures: int = 1, seed: int = 0) -> Verdict:
    return SCHEDULE.judge(delivery(round_attempts), result, failures=failures, rng=Random(seed))


@given(
    result=st.one_of(
        STATUSES.map(answered), FAILURES.map(lambda kind: Result(error_kind=kind, error="no"))
    ),
    round_attempts=st.integers(0, 6),
    seed=st.integers(),
)
def test_a_failure_waits_as_the_schedule_says_give_or_take_a_fifth(
    result: Result, round_attempts: int, seed: int
) -> None:
    verdict = judge(result, round_attempts, seed=seed)
    assert (verdict.pause is not None) == (result.status_code in SLOW_DOWN)
    if round_attempts + 1 >= len(DELAYS_S):
        assert (verdict.status, verdict.delay) == (Stage.EXHAUSTED, None)
        return
    assert verdict.status is Stage.PENDING
    assert verdict.delay is not None
    usual_s = DELAYS_S[round_attempts + 1]
    assert usual_s * (1 - JITTER) <= verdict.delay.total_seconds() + 1e-5
    assert verdict.delay.total_seconds() <= usual_s * (1 + JITTER) + 1e-5


def test_what_ends_a_delivery_at_once() -> None:
    assert judge(Result(status_code=204)) == Verdict(Stage.DELIVERED)
    refused = Result(error_kind=ErrorKind.REFUSED_ADDRESS, error="no")
    assert judge(refused) == Verdict(Stage.REFUSED)
    assert judge(answered(410)) == Verdict(Stage.EXHAUSTED, disables=True)
    full = SCHEDULE.judge(
        delivery(attempt_count=MAX_ATTEMPTS), answered(500), failures=1, rng=Random(0)
    )
    assert full.status is Stage.EXHAUSTED


@given(asked_s=st.floats(0, 1e9), status=st.sampled_from(sorted(SLOW_DOWN)))
def test_retry_after_raises_the_delay_and_pauses_for_a_day_at_most(
    asked_s: float, status: int
) -> None:
    verdict = judge(answered(status, asked_s))
    assert verdict.pause == min(timedelta(seconds=asked_s), DAY)
    assert verdict.delay is not None
    assert verdict.pause <= verdict.delay <= max(DAY, timedelta(seconds=6))


def test_without_retry_after_the_pause_doubles_up_to_a_minute() -> None:
    pauses = [judge(answered(503), failures=n).pause for n in (1, 2, 3, 7, 500)]
    assert pauses == [timedelta(seconds=seconds) for seconds in (1, 2, 4, 60, 60)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("9" * 400, 999_999_999.0),
        ("0" * 20 + "120", 120.0),
        ("Wed, 21 Oct 037 07:28:00 +9999999979999", None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_both_forms_of_retry_after_are_read(text: str | None, seconds: float | None) -> None:
    assert read_retry_after(text, now=NOW) == seconds


@given(st.text())
def test_any_other_text_is_no_wait(text: str) -> None:
    found = read_retry_after(text, now=NOW)
    assert found is None or found >= 0


def test_two_timeouts_in_a_row_are_quarantine_and_an_answer_ends_it() -> None:
    health = Health().after(TIMEOUT, at=NOW, pause=None)
    assert not health.is_quarantined
    health = health.after(TIMEOUT, at=NOW + DAY, pause=None)
    assert health.is_quarantined
    assert (health.failing_since, health.last_failure_at) == (NOW, NOW + DAY)
    assert not health.after(answered(500), at=NOW, pause=None).is_quarantined
    well = health.after(Result(status_code=200), at=NOW + 2 * DAY, pause=None)
    assert (well.consecutive_failures, well.failing_since) == (0, None)
    assert Health.from_document(well.to_document()) == well


def test_a_pause_lasts_whatever_else_was_in_flight() -> None:
    health = Health().after(answered(429), at=NOW, pause=DAY)
    for result in (answered(503), Result(status_code=200)):
        health = health.after(result, at=NOW, pause=timedelta(seconds=1))
        assert health.paused_until == NOW + DAY
