"""Where a server is reached that listens on an address."""

import httpx
import pytest

from app.embedded.port import url_at


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("api.example", "api.example"),
        ("::", "::1"),
        ("::1", "::1"),
        ("2001:db8::7", "2001:db8::7"),
    ],
)
def test_the_url_has_the_host_and_the_port(host: str, reached: str) -> None:
    url = httpx.URL(url_at(host, 8000))
    assert (url.host, url.port) == (reached, 8000)
