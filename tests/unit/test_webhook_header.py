"""The headers that owners add to their deliveries, and the words that others read."""

from typing import get_args

import pytest
from aiohttp import hdrs
from mixpeek import WebhookEventType

from app.api.shape.webhook import EndedStatus
from app.api.webhook_word import OTHERS, public_words
from app.deliveries.delivery import ENDED
from app.events.type import EVERY, SUBSCRIBABLE
from app.webhooks.header import MAX_HEADERS, header_flaw


def test_usual_headers_are_taken() -> None:
    assert (
        header_flaw({"Authorization": "Bearer a.b-c", "X-Team": "web shop", "Cookie": "a=b"})
        is None
    )
    assert header_flaw({f"X-{n}": "v" for n in range(MAX_HEADERS)}) is None


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({f"X-{n}": "v" for n in range(MAX_HEADERS + 1)}, "at most 20 headers"),
        ({"X-A": "1", "x-a": "2"}, "in more than in capitals"),
        ({"": "v"}, "no name of a header"),
        ({"X A": "v"}, "no name of a header"),
        ({"X-A:": "v"}, "no name of a header"),
        ({"X-Ä": "v"}, "no name of a header"),
        ({"X" * 101: "v"}, "no name of a header"),
        ({"X-A": ""}, "printable ASCII"),
        ({"X-A": "1\r\nX-B: 2"}, "printable ASCII"),
        ({"X-A": " 1"}, "printable ASCII"),
        ({"X-A": "ä"}, "printable ASCII"),
        ({"X-A": "v" * 4_097}, "printable ASCII"),
        ({f"X-{n}": "v" * 4_000 for n in range(3)}, "8,192 bytes"),
    ],
)
def test_others_are_not(headers: dict[str, str], said: str) -> None:
    assert said in str(header_flaw(headers))


@pytest.mark.parametrize(
    "name",
    [
        "webhook-id",
        "Webhook-Signature",
        "WEBHOOK-other",
        hdrs.HOST,
        hdrs.CONTENT_LENGTH,
        hdrs.CONTENT_TYPE,
        hdrs.TRANSFER_ENCODING,
        hdrs.CONNECTION,
        hdrs.USER_AGENT,
    ],
)
def test_what_a_delivery_sets_is_not_overridden(name: str) -> None:
    assert "set by the delivery itself" in str(header_flaw({name: "v"}))


def test_the_public_client_reads_every_word_that_it_is_shown() -> None:
    readable = {each.value for each in WebhookEventType}
    for kind in SUBSCRIBABLE:
        (word,) = public_words([kind])
        assert word in readable
        assert (word == OTHERS) is (kind not in readable)
    every = public_words([EVERY])
    assert len(every) > 10
    assert set(every) <= readable
    assert OTHERS not in set(SUBSCRIBABLE)


def test_what_has_ended_is_what_may_be_sent_again() -> None:
    assert set(get_args(EndedStatus)) == ENDED
