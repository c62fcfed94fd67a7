"""The interactive documentation works without the internet."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from tests.integration.resources import made


class Links(HTMLParser):
    """Every URL that a page loads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if value and name in ("src", "href")]
        self.found += [value for name, value in attrs if value and name == "spec-url"]


@pytest.fixture
def browser(api_url: str) -> Iterator[httpx.Client]:
    """Whoever looks at the pages; nobody has a key yet."""
    with httpx.Client(base_url=api_url, timeout=30) as client:
        yield client


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_all_that_a_page_loads_is_ours(browser: httpx.Client, path: str) -> None:
    page = browser.get(path)
    assert page.status_code == 200
    found = Links(page.text).found
    found += re.findall(r"url: '([^']+)'", page.text)
    assert any(link.endswith(".js") for link in found)
    assert "/openapi.json" in found
    for link in found:
        url = urljoin(str(page.url), link)
        assert urlsplit(url).netloc == page.url.netloc.decode()
        loaded = browser.get(url)
        assert loaded.status_code == 200, link
        assert loaded.content
    # What the scripts themselves would fetch from elsewhere, the browser refuses.
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "http" not in policy


def test_the_page_takes_a_key(browser: httpx.Client) -> None:
    document = made(browser.get("/openapi.json"))
    schemes = document["components"]["securitySchemes"]
    assert [(each["type"], each["scheme"]) for each in schemes.values()] == [("http", "bearer")]
    assert '"persistAuthorization": true' in browser.get("/docs").text


def test_assets_stay_in_their_folder(browser: httpx.Client) -> None:
    for path in ("/docs/assets/nope.js", "/docs/assets/../core.py", "/docs/assets/%2e%2e/core.py"):
        assert browser.get(path).status_code == 404
