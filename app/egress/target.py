"""What a URL names, checked as text before anything is looked up or dialled."""

import re
from collections.abc import Collection
from typing import Final

from yarl import URL

from app.egress.guard import EgressRefusedError, Guard

MAX_CHARACTERS: Final = 4_000

# Clients read these in different ways, or not at all.
_STRANGE: Final = re.compile(r"[\x00-\x20\x7f-\x9f\\\s]")
_AUTHORITY: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?P<authority>[^/?#]*)")
_NAME: Final = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_-]{1,63}")
_NUMBER: Final = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")
_MAX_NAME: Final = 253  # RFC 1035

_NOT_A_NUMBER: Final = "an IPv4 address in a URL has four decimal numbers: https://192.0.2.1/"


def read_target(text: str, guard: Guard, *, schemes: Collection[str]) -> URL:
    """The URL as the client that is to call it reads it: what is checked is what is called.

    Raises `ValueError` with a sentence for a URL in a form that is not taken, and
    `EgressRefusedError` for a port or an address that the guard refuses. A name is looked up later,
    and its address checked then.
    """
    match = _AUTHORITY.match(text)
    if match is None or _STRANGE.search(text) or len(text) > MAX_CHARACTERS:
        forms = " or ".join(f"{scheme}://host/path" for scheme in schemes)
        raise ValueError(
            f"a URL reads {forms}, without blanks, at most {MAX_CHARACTERS:,} characters long"
        )
    if "@" in match["authority"]:
        raise ValueError("a URL has no user name and no password: it is stored as it is")
    if "#" in text:
        raise ValueError("a URL has no fragment: write '#' as %23")
    if "%" in match["authority"]:
        raise ValueError("the host of a URL has no '%'")
    try:
        # With `encoded`, what was percent-encoded stays so: signed URLs depend on it.
        url = URL(text, encoded=text.isascii())
        host, port = url.raw_host, url.port
    except ValueError as exc:
        raise ValueError("the host or the port of the URL cannot be read") from exc
    if url.scheme not in schemes:
        raise ValueError(f"the URL must begin with {' or '.join(f'{s}://' for s in schemes)}")
    if not host or port is None:
        raise ValueError("the URL names no host")
    guard.check_port(port)
    _check_host(host.lower(), guard)
    return url


def _check_host(host: str, guard: Guard) -> None:
    if ":" in host:
        guard.check_address(host)
        return
    if len(host) > _MAX_NAME or not _NAME.fullmatch(host):
        raise ValueError("the host of the URL is neither a name nor an address")
    # Whatever ends in a number is an address to some resolver: 127.1, 0x7f.1, 2130706433.
    if not _NUMBER.fullmatch(host.rsplit(".", 1)[-1]):
        return
    try:
        guard.check_address(host)
    except EgressRefusedError as exc:
        if exc.__cause__ is not None:
            raise ValueError(_NOT_A_NUMBER) from exc
        raise
