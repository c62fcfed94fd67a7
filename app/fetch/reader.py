"""Contents by URL: the choice of a reader by the URL's scheme."""

import re
from collections.abc import Mapping
from typing import Final, Self

from app.egress.guard import Guard
from app.errors import InvalidError, PermanentError
from app.fetch.file import FileReader
from app.fetch.https import Egress, HttpsReader
from app.fetch.s3 import S3Options, S3Reader
from app.fetch.scheme import SchemeReader
from app.settings import Settings

_SCHEME: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,30}):")


class ContentReader:
    """Reads what URLs name. Belongs to one loop once it has read; `close` it there."""

    def __init__(self, readers: Mapping[str, SchemeReader]) -> None:
        """`readers`: by scheme in lower case, in the order that messages name them."""
        self._readers = readers

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The schemes that this installation reads, as its operator allows."""
        egress = Egress(
            Guard(settings.egress_allowed_networks, frozenset(settings.egress_allowed_ports)),
            settings.egress_ca_file,
            settings.object_timeout_s,
        )
        s3 = S3Options(
            settings.s3_buckets,
            settings.s3_endpoint_url,
            settings.s3_region,
            settings.object_timeout_s,
        )
        return cls(
            {
                "https": HttpsReader(egress, settings.max_blob_bytes),
                "s3": S3Reader(s3, settings.max_blob_bytes),
                "file": FileReader(settings.file_roots, settings.max_blob_bytes),
            }
        )

    def check_url(self, url: str, *, location: tuple[str | int, ...] = ("url",)) -> None:
        """Raises `InvalidError` at `location` for a URL that `read` could never read.

        Looks at the URL alone and fetches nothing.
        """
        try:
            self._reader(url).check(url)
        except (ValueError, PermanentError) as exc:
            raise InvalidError.at(*location, message=str(exc)) from exc

    async def read(self, url: str) -> bytes:
        """The bytes that `url` names, at most as many as a blob may have.

        Raises `PermanentError` when they may not or cannot be read, whoever asks and whenever;
        `TransientError` when they may be readable later.
        """
        try:
            return await self._reader(url).read(url)
        except ValueError as exc:
            raise PermanentError(str(exc)) from exc

    async def close(self) -> None:
        """Closes what reads have opened."""
        for reader in self._readers.values():
            await reader.close()

    def _reader(self, url: str) -> SchemeReader:
        match = _SCHEME.match(url)
        known = ", ".join(f"{scheme}://" for scheme in self._readers)
        if match is None:
            raise ValueError(f"a URL begins with its scheme: one of {known}")
        reader = self._readers.get(match["scheme"].lower())
        if reader is None:
            raise ValueError(f"{match['scheme']}: URLs cannot be read, only {known} URLs can")
        return reader
