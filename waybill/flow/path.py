"""Paths of the API."""

import re
from typing import Final
from urllib.parse import quote

OURS: Final = re.compile(r"/[^/].*", re.DOTALL)


def path_to(*parts: str) -> str:
    """`/v1/` and the parts, each quoted: a name may have any letter, but is one part."""
    for part in parts:
        if part in ("", ".", ".."):
            raise ValueError(f"an id or a name is needed, not {part!r}")
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def checked_path(path: str) -> str:
    """The path as it is; `ValueError` for what would take the key to another server."""
    if not OURS.fullmatch(path):
        raise ValueError(f"a path begins with one slash, like /v1/tasks; this is {path!r}")
    return path
