"""`If-None-Match`, by RFC 9110, 13.1.2: `*`, or a list of tags, compared weakly."""

import re
from typing import Final

# RFC 9110, 8.8.3; what stands between the quotes may hold commas.
_QUOTED: Final = r'"[\x21\x23-\x7e\x80-\xff]*"'
_TAG: Final = rf"(?:W/)?{_QUOTED}"
_LIST: Final = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")


def quoted(opaque: str) -> str:
    """The tag as its header has it."""
    return f'"{opaque}"'


def is_among(tag: str, header: str) -> bool:
    """Whether the header names the quoted tag; what is no list of tags names none."""
    if header.strip() == "*":
        return True
    return _LIST.fullmatch(header) is not None and tag in re.findall(_QUOTED, header)
