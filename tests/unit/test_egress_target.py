"""URLs as text: which forms are taken, and that what is checked is what would be called."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from app.egress.guard import EgressRefusedError, Guard
from app.egress.target import read_target

HTTPS = ("https",)
OPEN = Guard((ip_network("127.0.0.0/8"), ip_network("::1/128")), frozenset({8443}))

NAMES = ["a..b", ".a", "a.", "a,b", "a" * 64, "127.0.0.1.", "-a.b", "a.b" * 90]
NUMBERS = [
    *("127.1", "2130706433", "0", "0x7f.0.0.1", "0x7f000001", "1.0x1", "0177.0.0.1", "0X7F.1"),
    *("127.0.0.256", "127.0.0.01", "1.2.3.4.5", "example.08"),
]
WRONG_FORMS = {
    "a URL reads https://host/path": [
        *("", "example.org", "https:/a", "https:a", "//a/b", "https://a b/", "https://a\n/"),
        *("https://a\\@b/", "https://a/\x00", "https://a/\u3000"),
    ],
    "at most 4,000 characters": ["https://example.org/" + "a" * 4_000],
    "must begin with https://": ["http://example.org/", "ftp://example.org:80/"],
    "no user name": [
        *("https://u@example.org/", "https://u:p@example.org/", "https://@example.org/"),
        "https://127.0.0.1:443@example.org/",
    ],
    "no fragment": ["https://example.org/#a"],
    "has no '%'": ["https://exa%6dple.org/", "https://[fe80::1%25eth0]/"],
    "names no host|cannot be read": [
        *("https:///", "https://:443/", "https://[::1/", "https://::1/"),
        *("https://example.org:99999/", "https://example.org:a/", "https://example.org:-1/"),
    ],
    "neither a name nor an address": [f"https://{name}/" for name in NAMES],
    "four decimal numbers": [f"https://{number}/" for number in NUMBERS],
}


def read(text: str, guard: Guard = OPEN) -> URL:
    return read_target(text, guard, schemes=HTTPS)


@pytest.mark.parametrize(
    ("text", "host", "port", "path"),
    [
        ("https://example.org", "example.org", 443, "/"),
        ("HTTPS://Example.ORG:8443/A?b=c", "example.org", 8443, "/A?b=c"),
        ("https://a_b.example.org:443/", "a_b.example.org", 443, "/"),
        ("https://127.0.0.1/a", "127.0.0.1", 443, "/a"),
        ("https://[::1]/a", "::1", 443, "/a"),
        ("https://1.1.1.1/a", "1.1.1.1", 443, "/a"),
        (
            "https://münchen.example/a b".replace(" ", "%20"),
            "xn--mnchen-3ya.example",
            443,
            "/a%20b",
        ),
        ("https://3com.example/", "3com.example", 443, "/"),
        ("https://bucket.example/k?X-Sig=a%2Fb%20c+d&e", "bucket.example", 443, None),
        ("https://example.org/a/../b//c", "example.org", 443, "/a/../b//c"),
        ("https://localhost/", "localhost", 443, "/"),
    ],
)
def test_a_url_is_taken_as_it_stands(text: str, host: str, port: int, path: str | None) -> None:
    url = read(text)
    assert ((url.raw_host or "").lower(), url.port) == (host, port)
    assert url.raw_path_qs == (path or text[text.index("/", 8) :])


@pytest.mark.parametrize(
    ("said", "text"), [(said, text) for said, texts in WRONG_FORMS.items() for text in texts]
)
def test_other_forms_are_told_what_would_be_right(said: str, text: str) -> None:
    with pytest.raises(ValueError, match=said):
        read(text)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]"),
        *("[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]"),
        *("１２７.0.0.1", "127。0。0。1", "①②⑦.0.0.1"),
    ],
)
def test_an_address_that_is_denied_is_refused_before_anything_is_looked_up(host: str) -> None:
    with pytest.raises(EgressRefusedError):
        read(f"https://{host}/", Guard())


@pytest.mark.parametrize("port", [1, 22, 8080, 65535])
def test_a_port_that_is_not_allowed_is_refused(port: int) -> None:
    with pytest.raises(EgressRefusedError, match="port"):
        read(f"https://example.org:{port}/")


@given(st.text() | st.from_regex(r"https://[a-z0-9.:@\[\]%/\\#?x-]{0,30}", fullmatch=True))
def test_any_text_is_a_public_target_or_a_sentence(text: str) -> None:
    for tried in (text, f"https://{text}", f"https://{text}/"):
        try:
            url = read(tried, Guard())
        except (ValueError, EgressRefusedError):
            continue
        assert url.scheme == "https"
        assert url.port in (80, 443)
        assert url.raw_host
        assert not url.raw_user
        assert not url.raw_password
