"""The secrets of keys that the API makes: shown once, stored as digests."""

import base64
import hashlib
import hmac
import secrets
from typing import Final

from app.access.key import PREFIX
from app.identity import repeated_seed

RANDOM_BYTES: Final = 32


def make_secret(purpose: str, *, asked_with: str) -> str:
    """A new secret; of a request with an Idempotency-Key the one that its first run made.

    There it comes of the secret that the caller sent, which is stored nowhere, and of the
    request's seed in MongoDB: the caller alone gets it again, and no answer need be kept that
    holds it. `purpose` tells the secrets of one request apart.
    """
    seed = repeated_seed()
    if seed is None:
        return PREFIX + _text(secrets.token_bytes(RANDOM_BYTES))
    message = f"waybill key\0{purpose}\0{seed}".encode()
    key = asked_with.encode("utf-8", "surrogatepass")
    return PREFIX + _text(hmac.digest(key, message, hashlib.sha256))


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
