"""Signatures of Standard Webhooks (https://www.standardwebhooks.com), by shared keys."""

import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"


def sign(keys: Sequence[bytes], event_id: str, timestamp_s: int, body: bytes) -> str:
    """One token for each key, in the order of the keys, one space between them."""
    content = f"{event_id}.{timestamp_s}.".encode() + body
    return " ".join(f"v1,{_digest(key, content)}" for key in keys)


def signed_headers(
    keys: Sequence[bytes], event_id: str, timestamp_s: int, body: bytes
) -> Mapping[str, str]:
    """The three headers by which a receiver knows whose the bytes are; `keys` newest first."""
    return {
        ID: event_id,
        TIMESTAMP: str(timestamp_s),
        SIGNATURE: sign(keys, event_id, timestamp_s, body),
    }


def _digest(key: bytes, content: bytes) -> str:
    return b64encode(hmac.digest(key, content, sha256)).decode()
