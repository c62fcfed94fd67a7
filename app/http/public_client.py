"""Whether a request comes from the public client, for the few answers that it cannot read."""

import re
from typing import Final

from fastapi import Request

# What the generated package calls itself, whichever release of its 1.3 it is.
USER_AGENT: Final = re.compile(r"OpenAPI-Generator/1\.3\.[0-9]+/python")
VARY: Final = {"Vary": "User-Agent"}


def is_public_client(request: Request) -> bool:
    """Whether the package `mixpeek` sent it."""
    return USER_AGENT.fullmatch(request.headers.get("user-agent", "")) is not None
