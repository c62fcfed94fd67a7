"""For receivers of webhooks: is this request from the server, unchanged, and of now?

The scheme is Standard Webhooks' (https://www.standardwebhooks.com): HMAC-SHA256 over
`{id}.{timestamp}.{body}` with a key that both sides have.
"""

import binascii
import hmac
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from waybill.error import ClientError

SECRET_PREFIX: Final = "whsec_"
KEY_BYTES: Final = range(24, 64 + 1)
VERSION: Final = "v1"
TOLERANCE_S: Final = 300.0

_SECONDS: Final = re.compile(r"[0-9]{1,12}", re.ASCII)


class Headers(Protocol):
    """The headers of a request, as any web framework has them; or a dict."""

    def items(self) -> Iterable[tuple[str, str]]: ...


class WebhookVerificationError(ClientError):
    """The request is not to be believed; the message says why. Answer it with 401."""


def verify(
    body: bytes | str,
    headers: Headers,
    secret: str | Sequence[str],
    *,
    tolerance_s: float = TOLERANCE_S,
    now: datetime | None = None,
) -> dict[str, Any]:
    """The event that the request tells of, once it is sure who sent it, and when.

    `body` is what came, byte by byte: JSON that was read and written again has another signature.
    The names of headers are read in any case. Several secrets may be given while one is replaced
    by another. A request whose time differs from `now` by more than `tolerance_s`, either way, may
    be an old one sent again. Raises `WebhookVerificationError`.
    """
    keys = [key_of(each) for each in ([secret] if isinstance(secret, str) else secret)]
    if not keys:
        raise WebhookVerificationError("No secret is given: take the webhook's signing_secret")
    found = {name.lower(): value for name, value in headers.items()}
    event_id, sent_at = _header(found, "webhook-id"), _header(found, "webhook-timestamp")
    tokens = _header(found, "webhook-signature").split(" ")
    _check_time(sent_at, now or datetime.now(UTC), tolerance_s)
    # Bytes that are no UTF-8 are surrogates in the text of some frameworks: nothing we have signed.
    content = body.encode(errors="surrogatepass") if isinstance(body, str) else body
    message = f"{event_id}.{sent_at}.".encode(errors="backslashreplace") + content
    if not _matches(tokens, [_signature(key, message) for key in keys]):
        raise WebhookVerificationError(
            "No signature matches: the secret is another webhook's, or the body is not what was "
            "sent, byte by byte"
        )
    return _event(content)


def key_of(secret: str) -> bytes:
    """The bytes behind `whsec_…`; the prefix and the padding may be missing.

    Raises `WebhookVerificationError` for what is no secret of a webhook.
    """
    text = secret.removeprefix(SECRET_PREFIX).rstrip("=")
    try:
        key = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise WebhookVerificationError("The secret is no base64 after 'whsec_'") from exc
    if len(key) not in KEY_BYTES:
        raise WebhookVerificationError(
            f"The secret holds {len(key)} bytes: one of a webhook has "
            f"{KEY_BYTES.start} to {KEY_BYTES.stop - 1}"
        )
    return key


def _header(found: dict[str, str], name: str) -> str:
    value = found.get(name)
    if not value:
        raise WebhookVerificationError(f"The header {name} is missing")
    return value


def _check_time(sent_at: str, now: datetime, tolerance_s: float) -> None:
    if not _SECONDS.fullmatch(sent_at):
        raise WebhookVerificationError("The header webhook-timestamp is no number of seconds")
    age_s = now.timestamp() - int(sent_at)
    if abs(age_s) > tolerance_s:
        side = "in the past" if age_s > 0 else "in the future"
        raise WebhookVerificationError(
            f"The request was signed {abs(age_s):.0f} s {side}: no more than {tolerance_s:g} s "
            "are believed"
        )


def _signature(key: bytes, message: bytes) -> bytes:
    return b64encode(hmac.digest(key, message, "sha256"))


def _matches(tokens: Sequence[str], expected: Sequence[bytes]) -> bool:
    """Whether one of the tokens is one of those expected; all are compared, in constant time."""
    found = False
    for token in tokens:
        version, _, signature = token.partition(",")
        if version == VERSION:
            sent = signature.encode(errors="backslashreplace")
            for each in expected:
                found |= hmac.compare_digest(sent, each)
    return found


def _event(content: bytes) -> dict[str, Any]:
    try:
        event = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise WebhookVerificationError("The body is signed, and no JSON") from exc
    if not isinstance(event, dict):
        raise WebhookVerificationError("The body is signed, and no JSON object")
    return event
