"""What an exception says on the receipt, whether it is tried again, and how soon."""

import random
from datetime import timedelta

import pymongo.errors
import pytest
import redis.exceptions
from hypothesis import example, given
from hypothesis import strategies as st

from app.errors import (
    InvalidError,
    NotFoundError,
    PermanentError,
    TransientError,
    UnavailableError,
    WaybillError,
)
from workers.failure import (
    JITTER,
    LONGEST_BACKOFF,
    MESSAGE_LIMIT,
    TRACEBACK_LIMIT,
    Failure,
    backoff,
    describe,
)


class QuotaError(Exception):
    """A job's own error."""


class SlowQuotaError(QuotaError):
    """A kind of it."""


def described(exc: Exception, *, transient: tuple[type[Exception], ...] = ()) -> Failure:
    try:
        raise exc
    except type(exc) as raised:
        return describe(raised, transient_errors=transient)


@pytest.mark.parametrize(
    "exc",
    [
        TransientError("busy"),
        UnavailableError("away"),
        ConnectionRefusedError(111, "refused"),
        BrokenPipeError(),
        TimeoutError(),
        pymongo.errors.AutoReconnect("gone"),
        pymongo.errors.ServerSelectionTimeoutError("none"),
        pymongo.errors.NetworkTimeout("slow"),
        redis.exceptions.ConnectionError("gone"),
        redis.exceptions.TimeoutError("slow"),
        redis.exceptions.BusyLoadingError("loading"),
    ],
)
def test_what_is_away_for_the_moment_is_tried_again(exc: Exception) -> None:
    assert described(exc).transient


@pytest.mark.parametrize(
    "exc",
    [
        PermanentError("no"),
        InvalidError.at("body", message="no"),
        NotFoundError("gone"),
        ValueError("no"),
        KeyError("no"),
        FileNotFoundError(2, "no such file"),
        MemoryError(),
        RecursionError(),
        pymongo.errors.DuplicateKeyError("twice"),
        pymongo.errors.DocumentTooLarge("16 MB"),
        redis.exceptions.ResponseError("WRONGTYPE"),
        QuotaError("mine"),
    ],
)
def test_everything_else_fails_at_once(exc: Exception) -> None:
    assert not described(exc).transient


def test_a_job_names_transient_errors_of_its_own() -> None:
    assert described(QuotaError("wait"), transient=(QuotaError,)).transient
    assert described(SlowQuotaError("wait"), transient=(QuotaError,)).transient
    assert not described(ValueError("wait"), transient=(QuotaError,)).transient


@pytest.mark.parametrize(
    ("exc", "message"),
    [
        (PermanentError("The file is no image."), "The file is no image."),
        (PermanentError("  First.\nSecond.\n"), "First."),
        (ValueError("bad value"), "ValueError: bad value"),
        (ValueError("bad\r\nvalue"), "ValueError: bad"),
        (ValueError(), "ValueError"),
        (ValueError("\n \n"), "ValueError"),
        (KeyError("price"), "KeyError: 'price'"),
        (QuotaError("a", "b"), "QuotaError: ('a', 'b')"),
    ],
)
def test_the_message_is_one_sentence(exc: Exception, message: str) -> None:
    assert described(exc).message == message


@given(st.text(max_size=2000), st.sampled_from([PermanentError, TransientError, ValueError]))
@example("", PermanentError)
@example(" \n ", TransientError)
@example("x" * 501, ValueError)
@example("a\x1cb\u2028c\x0bd\x85e", ValueError)
def test_the_message_is_never_empty_long_or_of_several_lines(
    text: str, kind: type[Exception]
) -> None:
    message = described(kind(text)).message
    assert 0 < len(message) <= MESSAGE_LIMIT
    assert len(message.splitlines()) == 1


def test_no_traceback_is_in_the_message_and_all_of_it_in_its_place() -> None:
    def deep() -> None:
        try:
            raise KeyError("cause")
        except KeyError as exc:
            raise ValueError("effect\n  File 'x', line 1") from exc

    with pytest.raises(ValueError, match="effect") as caught:
        deep()
    failure = describe(caught.value, transient_errors=())
    assert failure.message == "ValueError: effect"
    assert "KeyError: 'cause'" in failure.traceback
    assert failure.traceback.rstrip().endswith("line 1")
    assert "in deep" in failure.traceback


def test_of_a_long_traceback_the_end_is_kept() -> None:
    failure = described(ValueError("x" * (2 * TRACEBACK_LIMIT) + "the end"))
    assert len(failure.traceback) == TRACEBACK_LIMIT
    assert failure.traceback.rstrip().endswith("the end")


@given(
    attempt=st.integers(1, 10_000),
    first=st.timedeltas(timedelta(0), timedelta(hours=1)),
    seed=st.integers(0, 2**32),
)
def test_backoff_doubles_within_its_bounds(attempt: int, first: timedelta, seed: int) -> None:
    delay = backoff(attempt, first=first, rng=random.Random(seed))
    exact_s = min(first.total_seconds() * 2.0 ** min(attempt - 1, 60), 300.0)
    slack_s = 1e-5
    assert exact_s * (1 - JITTER) - slack_s <= delay.total_seconds()
    assert delay.total_seconds() <= exact_s * (1 + JITTER) + slack_s
    assert delay <= LONGEST_BACKOFF * (1 + JITTER)


def test_attempts_that_failed_together_do_not_come_back_together() -> None:
    first = timedelta(seconds=2)
    delays = {backoff(1, first=first, rng=random.Random(seed)) for seed in range(50)}
    assert len(delays) > 40


def test_every_error_of_ours_is_of_one_kind() -> None:
    assert issubclass(UnavailableError, TransientError)
    assert issubclass(TransientError, WaybillError)
    assert not issubclass(PermanentError, TransientError)
