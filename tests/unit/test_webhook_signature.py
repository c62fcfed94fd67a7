"""Signatures: the published vectors, and the oracle that receivers use."""

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from app.deliveries.signature import sign, signed_headers

KEYS = st.binary(min_size=24, max_size=64)


def secret(key: bytes) -> str:
    return f"whsec_{base64.b64encode(key).decode()}"


@pytest.mark.parametrize(
    ("text", "event_id", "timestamp_s", "body", "signature"),
    [
        (
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            b'{"test": 2432232314}',
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1649367553,
            b'{"email":"test@example.com","username":"test_user"}',
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
    ],
)
def test_the_published_vectors_come_out(
    text: str, event_id: str, timestamp_s: int, body: bytes, signature: str
) -> None:
    assert sign([base64.b64decode(text)], event_id, timestamp_s, body) == signature


@given(newer=KEYS, older=KEYS, text=st.text())
def test_the_oracle_verifies_by_the_newer_and_by_the_older_secret(
    newer: bytes, older: bytes, text: str
) -> None:
    body = text.encode()
    headers = dict(signed_headers([newer, older], "evt_1", int(time.time()), body))
    newer_token, older_token = headers["webhook-signature"].split(" ")
    for key, token in ((newer, newer_token), (older, older_token)):
        oracle = Webhook(secret(key))
        oracle.verify(body, headers, json_parse=False)
        oracle.verify(body, {**headers, "webhook-signature": token}, json_parse=False)
