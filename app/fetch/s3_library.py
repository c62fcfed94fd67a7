"""s3fs and what it stands on, where the extra waybill[s3] is installed."""

import importlib
import importlib.util
from collections.abc import Mapping
from typing import Any, Final, Protocol, cast

from app.errors import PermanentError

_MISSING: Final = (
    "s3:// URLs need a package that is not installed here: pip install 'waybill[s3]' on every "
    "server and worker"
)


class Body(Protocol):
    """The content of an object, as it arrives."""

    async def read(self, size_bytes: int) -> bytes:
        """The next bytes, at most so many; none at the end."""

    def close(self) -> None:
        """Leaves the rest unread."""


class Client(Protocol):
    """The calls of S3 that are made here."""

    async def get_object(self, *, Bucket: str, Key: str) -> Mapping[str, Any]:  # noqa: N803
        """`{"Body": Body, "ContentLength": bytes, …}`."""

    async def close(self) -> None:
        """Closes the connections."""


class FileSystem(Protocol):
    """S3 as s3fs opens it: with the credentials and profiles of the environment."""

    async def set_session(self) -> Client:
        """The client, made at the first call."""


def require_s3() -> None:
    """Raises `PermanentError`, which says what to install, where the extra is missing."""
    if importlib.util.find_spec("s3fs") is None:
        raise PermanentError(_MISSING)


def open_file_system(options: Mapping[str, object]) -> FileSystem:
    """An s3fs of its own for the running loop; `options` are those of `s3fs.S3FileSystem`."""
    require_s3()
    made = importlib.import_module("s3fs").S3FileSystem(
        asynchronous=True, skip_instance_cache=True, **options
    )
    return cast(FileSystem, made)


def error_types(*names: str) -> tuple[type[Exception], ...]:
    """The exceptions of botocore with these names."""
    found = importlib.import_module("botocore.exceptions")
    return tuple(getattr(found, name) for name in names)
