"""Whether a receiver believes a request: published vectors, the public library, and strangers."""

import base64
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import Message

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from waybill.error import ClientError
from waybill.webhooks import WebhookVerificationError, verify

BODY = b'{"event_id": "evt_1", "type": "task.completed", "data": {"n": "\xc3\xa4"}}'
NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


def secret_of(key: bytes) -> str:
    return f"whsec_{base64.b64encode(key).decode()}"


SECRET, OTHER = secret_of(b"a" * 24), secret_of(b"b" * 64)
SECRETS = st.binary(min_size=24, max_size=64).map(secret_of)
IDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789_", min_size=1, max_size=40)
EVENTS = st.dictionaries(st.text(max_size=8), st.text(max_size=8) | st.integers(), max_size=5)


def token(body: bytes, secret: str, *, event_id: str = "evt_1", at: datetime = NOW) -> str:
    """As the public library signs."""
    return standardwebhooks.Webhook(secret).sign(event_id, at, body.decode())


def signed(
    body: bytes, *secrets: str, event_id: str = "evt_1", at: datetime = NOW
) -> dict[str, str]:
    """The headers, with one token a secret."""
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(
            token(body, each, event_id=event_id, at=at) for each in secrets
        ),
    }


@dataclass(frozen=True, slots=True)
class Vector:
    """One that was published with the specification."""

    secret: str
    event_id: str
    timestamp: int
    body: str
    signature: str


VECTORS = (
    Vector(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        '{"test": 2432232314}',
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
    Vector(
        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        1649367553,
        '{"email":"test@example.com","username":"test_user"}',
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
    ),
)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector.event_id))
def test_the_published_vectors(vector: Vector) -> None:
    headers = {
        "Webhook-Id": vector.event_id,
        "WEBHOOK-TIMESTAMP": str(vector.timestamp),
        "webhook-signature": vector.signature,
    }
    now = datetime.fromtimestamp(vector.timestamp, UTC)
    expected = json.loads(vector.body)
    assert verify(vector.body, headers, vector.secret, now=now) == expected
    assert verify(vector.body.encode(), headers, vector.secret, now=now) == expected
    with pytest.raises(WebhookVerificationError, match="No signature matches"):
        verify(f"{vector.body} ", headers, vector.secret, now=now)


@given(secret=SECRETS, event_id=IDS, event=EVENTS)
def test_what_the_public_library_signs_is_believed(
    secret: str, event_id: str, event: dict[str, object]
) -> None:
    body = json.dumps(event, ensure_ascii=False).encode()
    headers = signed(body, secret, event_id=event_id)
    assert verify(body, headers, secret, now=NOW) == event
    # Neither the prefix nor the padding is needed, as with the public library.
    assert verify(body, headers, secret.removeprefix("whsec_").rstrip("="), now=NOW) == event


@given(data=st.data())
def test_one_byte_that_changed_is_noticed(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(BODY) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != BODY[place]))
    changed = BODY[:place] + bytes([other]) + BODY[place + 1 :]
    with pytest.raises(WebhookVerificationError, match="No signature matches"):
        verify(changed, signed(BODY, SECRET), SECRET, now=NOW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_header_is_needed(name: str) -> None:
    headers = signed(BODY, SECRET)
    for broken in ({**headers, name: ""}, {k: v for k, v in headers.items() if k != name}):
        with pytest.raises(WebhookVerificationError, match=f"The header {name} is missing"):
            verify(BODY, broken, SECRET, now=NOW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp"])
def test_what_is_signed_with_the_body_cannot_be_exchanged(name: str) -> None:
    headers = signed(BODY, SECRET)
    headers[name] = headers[name][:-1] + ("1" if headers[name][-1] == "0" else "0")
    with pytest.raises(WebhookVerificationError, match="No signature matches"):
        verify(BODY, headers, SECRET, now=NOW)


@pytest.mark.parametrize("text", ["", "soon", "1e9", "-1", "1.5", " 1", "١٢٣", "9" * 40])
def test_a_time_that_is_none(text: str) -> None:
    headers = signed(BODY, SECRET) | {"webhook-timestamp": text}
    with pytest.raises(WebhookVerificationError, match="webhook-timestamp"):
        verify(BODY, headers, SECRET, now=NOW)


@given(age_s=st.integers(-1_000, 1_000))
def test_the_tolerance_goes_both_ways(age_s: int) -> None:
    headers = signed(BODY, SECRET, at=NOW - timedelta(seconds=age_s))
    if abs(age_s) <= 300:
        assert verify(BODY, headers, SECRET, now=NOW)
    else:
        side = "past" if age_s > 0 else "future"
        with pytest.raises(WebhookVerificationError, match=f"{abs(age_s)} s in the {side}"):
            verify(BODY, headers, SECRET, now=NOW)
    assert verify(BODY, headers, SECRET, now=NOW, tolerance_s=1_000)


def test_now_is_now_unless_said() -> None:
    assert verify(BODY, signed(BODY, SECRET, at=datetime.now(UTC)), SECRET)
    with pytest.raises(WebhookVerificationError, match="in the past"):
        verify(BODY, signed(BODY, SECRET, at=datetime(2020, 1, 1, tzinfo=UTC)), SECRET)


def test_either_side_may_know_two_secrets_while_one_replaces_the_other() -> None:
    both = signed(BODY, OTHER, SECRET)
    assert both["webhook-signature"].count(" ") == 1
    for known in (SECRET, OTHER, [OTHER, SECRET]):
        assert verify(BODY, both, known, now=NOW)
    assert verify(BODY, signed(BODY, SECRET), [OTHER, SECRET], now=NOW)
    with pytest.raises(WebhookVerificationError, match="No signature matches"):
        verify(BODY, both, secret_of(b"c" * 32), now=NOW)


def test_tokens_of_other_versions_are_passed_over() -> None:
    right = token(BODY, SECRET)
    same_as_v2 = right.replace("v1,", "v2,")
    headers = signed(BODY, SECRET)
    for tokens in (f"v1a,eHg= v2,eHg= {right}", f"{right} strange ,", f"  v1, {right}"):
        assert verify(BODY, headers | {"webhook-signature": tokens}, SECRET, now=NOW)
    for tokens in (same_as_v2, right.removeprefix("v1,"), "v1", "v1,", " ", "v1,ä\ud800"):
        with pytest.raises(WebhookVerificationError, match="No signature matches"):
            verify(BODY, headers | {"webhook-signature": tokens}, SECRET, now=NOW)


@pytest.mark.parametrize(
    ("secret", "sentence"),
    [
        ("whsec_not base64!", "no base64"),
        ("whsec_ä", "no base64"),
        ("", "holds 0 bytes: one of a webhook has 24 to 64"),
        (secret_of(b"a" * 23), "holds 23 bytes"),
        (secret_of(b"a" * 65), "holds 65 bytes"),
        ([], "No secret is given"),
        ([SECRET, "whsec_"], "holds 0 bytes"),
    ],
)
def test_a_secret_in_another_form_is_told(secret: str | list[str], sentence: str) -> None:
    with pytest.raises(WebhookVerificationError, match=re.escape(sentence)) as caught:
        verify(BODY, signed(BODY, SECRET), secret, now=NOW)
    assert isinstance(caught.value, ClientError)


@pytest.mark.parametrize("body", [b"[1]", b'"text"', b"{", b"null", b"[" * 100_000])
def test_what_is_signed_has_to_be_an_event(body: bytes) -> None:
    with pytest.raises(WebhookVerificationError, match="The body is signed, and no JSON"):
        verify(body, signed(body, SECRET), SECRET, now=NOW)


def test_the_headers_of_the_standard_library_will_do() -> None:
    message = Message()
    for name, value in signed(BODY, SECRET).items():
        message[name.title()] = value
    assert verify(BODY, message, SECRET, now=NOW)["event_id"] == "evt_1"
