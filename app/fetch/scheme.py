"""What every scheme's reader promises."""

from typing import Protocol


class SchemeReader(Protocol):
    """Reads the contents that URLs of one scheme name. Opens nothing before the first read."""

    def check(self, url: str) -> None:
        """Raises `ValueError` or `PermanentError` for a URL that `read` could never read.

        Looks at the text alone: the content may come later, or be seen from another host only.
        """

    async def read(self, url: str) -> bytes:
        """The bytes that `url` names, at most as many as a blob may have.

        Raises `PermanentError` or `ValueError` when they may not or cannot be read, whoever asks
        and whenever; `TransientError` when they may be readable later.
        """

    async def close(self) -> None:
        """Closes what reads have opened, in the loop that they ran in."""


def too_large(called: str, max_bytes: int) -> str:
    """The sentence of a content over the bound; `called` names what has it."""
    return f"{called} has more than the {max_bytes} bytes that a blob may have"
