"""Files under the operator's folders, and nothing outside of them, whatever links say."""

import errno
import os
import re
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from io import FileIO
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes

from app.errors import PermanentError, TransientError

# The same words for a file that isn't there and for one outside of the folders: an answer must
# not tell what exists on the rest of the machine.
REFUSED: Final = "the file:// URL names no file in the folders of WAYBILL_FILE_ROOTS"

# RFC 8089, with the authority that it allows to be empty or localhost.
_FILE_URL: Final = re.compile(r"(?i:file)://(?P<host>[^/?#]*)(?P<path>/[^?#]*)")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})|%2[Ff]|%00|[\x00-\x1f\x7f]")

# The disk, the network file system or this process is in trouble; the file may be fine.
_TRANSIENT: Final = frozenset(
    {
        errno.EIO,
        errno.ESTALE,
        errno.EAGAIN,
        errno.EINTR,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ETIMEDOUT,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENOTCONN,
        errno.EREMOTEIO,
    }
)

_NO_LINKS: Final = os.O_NOFOLLOW | os.O_CLOEXEC


def url_path(url: str) -> Path:
    """The absolute path that a file:// URL names, without touching the disk.

    Raises `ValueError` with a sentence for the caller. Percent-escapes are bytes of the name, so
    that any name of a file can be written; an escaped '/' or NUL, '..' and another host cannot.
    """
    match = _FILE_URL.fullmatch(url)
    if match is None:
        raise ValueError("a file:// URL reads file:///folder/name; write '?' as %3F and '#' as %23")
    if match["host"].lower() not in ("", "localhost"):
        raise ValueError("a file:// URL names no other host: write file:///folder/name")
    if _BAD_ESCAPE.search(match["path"]):
        raise ValueError("the file:// URL has a control character or a bad percent-escape")
    try:
        name = os.fsdecode(unquote_to_bytes(match["path"]))
    except UnicodeEncodeError as exc:
        raise ValueError("the file:// URL is not Unicode text: percent-escape its bytes") from exc
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError("a file:// URL has no '..'")
    return Path("/", *parts)


def is_beneath(path: Path, roots: Sequence[Path]) -> bool:
    """Whether `path` is written under one of `roots`.

    A root counts as listed and as resolved. `path` is compared as text, so that nothing outside of
    the roots is looked at, not even for whether it exists.
    """
    return any(path.is_relative_to(root) or path.is_relative_to(_real(root)) for root in roots)


def read_beneath(path: Path, roots: Sequence[Path], *, max_bytes: int) -> bytes:
    """The content of the regular file `path`, at most `max_bytes` long.

    Symbolic links are followed where they end inside of the roots, and nowhere else even when
    somebody changes them meanwhile. Never blocks on a pipe or a device. Raises `PermanentError`,
    or `TransientError` when the disk or this process is in trouble.
    """
    if not is_beneath(path, roots):
        raise PermanentError(REFUSED)
    try:
        real = Path(os.path.realpath(path, strict=True))
    except OSError as exc:
        raise _as_error(exc, REFUSED) from exc
    root = next((top for top in map(_real, roots) if real.is_relative_to(top)), None)
    if root is None:
        raise PermanentError(REFUSED)
    try:
        descriptor = open_beneath(root, real.relative_to(root).parts)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            return _read_regular(file, max_bytes)
    except OSError as exc:
        gone = exc.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
        words = REFUSED if gone else f"the file cannot be read ({os.strerror(exc.errno or 0)})"
        raise _as_error(exc, words) from exc


def _real(root: Path) -> Path:
    return Path(os.path.realpath(root))


def open_beneath(root: Path, parts: Sequence[str]) -> int:
    """A descriptor of `root/parts`, found without following any link below `root`.

    Each folder is opened in the one before it, so that a link put in the way after the path was
    resolved fails with ELOOP or ENOTDIR instead of leading out.
    """
    with ExitStack() as folders:
        folder = os.open(root, os.O_PATH | os.O_DIRECTORY | _NO_LINKS)
        folders.callback(os.close, folder)
        for part in parts[:-1]:
            folder = os.open(part, os.O_PATH | os.O_DIRECTORY | _NO_LINKS, dir_fd=folder)
            folders.callback(os.close, folder)
        name = parts[-1] if parts else "."
        # O_NONBLOCK: opening a pipe without a writer would wait for one.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | _NO_LINKS
        return os.open(name, flags, dir_fd=folder)


def _read_regular(file: FileIO, max_bytes: int) -> bytes:
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode):
        raise PermanentError("the file:// URL names something that is not a regular file")
    content = bytearray()
    # The size alone does not bound what is read: the file may grow meanwhile.
    while found.st_size <= max_bytes and len(content) <= max_bytes:
        piece = file.read(max_bytes + 1 - len(content))
        if not piece:
            return bytes(content)
        content += piece
    raise PermanentError(f"the file has more than the {max_bytes} bytes that a blob may have")


def _as_error(exc: OSError, words: str) -> PermanentError | TransientError:
    if exc.errno in _TRANSIENT:
        return TransientError(f"the file cannot be read now ({os.strerror(exc.errno or 0)})")
    return PermanentError(words)
