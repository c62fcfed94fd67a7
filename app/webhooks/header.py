"""The headers that an endpoint's owner adds to each request."""

import re
from collections.abc import Mapping
from typing import Final

MAX_HEADERS: Final = 20
MAX_NAME: Final = 100  # characters
MAX_VALUE_BYTES: Final = 4_096
MAX_TOTAL_BYTES: Final = 8_192  # of names and values: servers take 8 KiB of headers as a rule

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_VALUE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
# They say what is sent, where it goes and how the connection is used.
RESERVED: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)
RESERVED_PREFIX: Final = "webhook-"


def header_flaw(headers: Mapping[str, str]) -> str | None:
    """What is wrong with the headers, as a sentence; None where nothing is."""
    if len(headers) > MAX_HEADERS:
        return f"at most {MAX_HEADERS} headers are added to a request"
    if len({name.lower() for name in headers}) < len(headers):
        return "the names of headers differ in more than in capitals"
    for name, value in headers.items():
        if flaw := _name_flaw(name) or _value_flaw(name, value):
            return flaw
    if sum(len(name) + len(value) for name, value in headers.items()) > MAX_TOTAL_BYTES:
        return f"all headers together have at most {MAX_TOTAL_BYTES:,} bytes"
    return None


def _name_flaw(name: str) -> str | None:
    if not _TOKEN.fullmatch(name) or len(name) > MAX_NAME:
        return (
            f"{name[:MAX_NAME]!r} is no name of a header: letters, digits and -_.!#$%&'*+^`|~, "
            f"at most {MAX_NAME}"
        )
    if name.lower() in RESERVED or name.lower().startswith(RESERVED_PREFIX):
        return f"the header '{name}' is set by the delivery itself: take another name"
    return None


def _value_flaw(name: str, value: str) -> str | None:
    if not _VALUE.fullmatch(value) or len(value) > MAX_VALUE_BYTES:
        return (
            f"the value of '{name}' has 1 to {MAX_VALUE_BYTES:,} printable ASCII characters, and "
            "no space at its ends"
        )
    return None
