"""Where the server is, and with which key: what was said, the environment, then `waybill up`'s
own note of it.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from platformdirs import user_data_dir

from waybill.error import SetupError

NOTE: Final = Path("run") / "connection.json"  # below the data folder, written by `waybill up`
KEY_FORM: Final = re.compile(r"[\x21-\x7e]+")
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

NO_SERVER: Final = (
    "No server is known: start one with `waybill up`, or set WAYBILL_URL and WAYBILL_API_KEY."
)


@dataclass(frozen=True, slots=True)
class Connection:
    """One server, one key, and the namespace to work in; None is the default one."""

    base_url: str
    api_key: str
    namespace: str | None = None

    def __post_init__(self) -> None:
        """Raises `SetupError` for what no server could be called with."""
        if not _is_url(self.base_url):
            raise SetupError("The URL of the server must be like http://host:port.")
        if "@" in urlsplit(self.base_url).netloc:
            raise SetupError("The URL has a user in it, who would go in the API key's place.")
        if not self.api_key:
            raise SetupError("The API key is empty: give the one that `waybill up` printed, sk_….")
        if not KEY_FORM.fullmatch(self.api_key):
            raise SetupError("The API key has spaces or letters that no key has; one is like sk_….")
        if self.namespace is not None and (
            not self.namespace.strip() or CONTROL.search(self.namespace)
        ):
            raise SetupError("The namespace must be the id or the name of one; None is `default`.")

    @property
    def shown_url(self) -> str:
        """The URL as people write it."""
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def find(
    base_url: str | None = None,
    api_key: str | None = None,
    *,
    namespace: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Connection:
    """What is given, else WAYBILL_URL, WAYBILL_API_KEY and WAYBILL_NAMESPACE, else what a running
    `waybill up` noted in its data folder.

    A noted key goes to the noted server only. `SetupError` says what is missing or wrong.
    """
    known = os.environ if environment is None else environment
    base_url = known.get("WAYBILL_URL") or None if base_url is None else base_url
    api_key = known.get("WAYBILL_API_KEY") or None if api_key is None else api_key
    namespace = known.get("WAYBILL_NAMESPACE") or None if namespace is None else namespace
    if base_url is None or api_key is None:
        noted_url, noted_key = _noted(known)
        if base_url is None:
            base_url = noted_url
        if api_key is None and base_url is not None and _is_same(base_url, noted_url):
            api_key = noted_key
    if base_url is None:
        raise SetupError(NO_SERVER)
    if api_key is None:
        raise SetupError("No API key is known for this server: give one, or set WAYBILL_API_KEY.")
    return Connection(base_url, api_key, namespace)


def note_path(environment: Mapping[str, str]) -> Path:
    """Where `waybill up` notes its URL and key: JSON `{"api_url", "api_key"}`, mode 0600."""
    folder = environment.get("WAYBILL_DATA_DIR") or user_data_dir("waybill")
    return Path(folder).expanduser() / NOTE


def _noted(environment: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The URL and the key of the note, or nothing."""
    try:
        note = json.loads(note_path(environment).read_text())
        return str(note["api_url"]), str(note["api_key"])
    except (OSError, ValueError, KeyError, TypeError):
        return None, None  # nothing runs here, or it is somebody else's


def _is_same(one: str, other: str | None) -> bool:
    return other is not None and one.rstrip("/") == other.rstrip("/")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not CONTROL.search(text)
