"""file:// URLs, under the operator's folders."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from app.fetch.rooted_file import REFUSED, is_beneath, read_beneath, url_path

_NO_ROOTS: Final = (
    "file:// URLs are off: the operator lists the folders that they may read in WAYBILL_FILE_ROOTS"
)


class FileReader:
    """Reads regular files beneath `roots`, absolute folders, maybe none."""

    def __init__(self, roots: Sequence[Path], max_bytes: int) -> None:
        self._roots = tuple(roots)
        self._max_bytes = max_bytes

    def check(self, url: str) -> None:
        """As `SchemeReader` promises; the disk is not looked at."""
        self._path(url)

    async def read(self, url: str) -> bytes:
        """As `SchemeReader` promises; other reads wait meanwhile, since a file is read at once."""
        return read_beneath(self._path(url), self._roots, max_bytes=self._max_bytes)

    async def close(self) -> None:
        """Nothing stays open."""

    def _path(self, url: str) -> Path:
        if not self._roots:
            raise ValueError(_NO_ROOTS)
        path = url_path(url)
        if not is_beneath(path, self._roots):
            raise ValueError(REFUSED)
        return path
