"""A body that a framework has read as text, whatever bytes it was."""

import time
from typing import Final

import pytest

from waybill.webhooks import WebhookVerificationError, verify

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_bytes_that_are_no_text_are_not_believed() -> None:
    """Anybody can send them: they are to be answered with 401 like whatever else is not ours."""
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(time.time())),
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    for content in (b"\xff", "\ud800".encode(errors="surrogatepass")):
        with pytest.raises(WebhookVerificationError, match="No signature matches"):
            verify(content.decode(errors="surrogateescape"), headers, SECRET)
