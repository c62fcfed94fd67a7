"""The secrets that sign deliveries: made or read as `whsec_…`, and sealed before they are stored.

A secret is stored as a Fernet token (https://github.com/fernet/spec), whose key comes of the
setting `secret_key` by HKDF-SHA256 (RFC 5869): a copy of the database alone signs nothing.
"""

import base64
import binascii
import secrets
from functools import cached_property
from typing import Final

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from app.errors import PermanentError
from app.settings import required

PREFIX: Final = "whsec_"
REDACTED: Final = "redacted"  # what stands in answers in the place of what nobody reads again
MADE_BYTES: Final = 32
MIN_BYTES: Final = 24
MAX_BYTES: Final = 64
PURPOSE: Final = b"waybill webhook secrets 1"

FORM: Final = (
    f"a signing secret is {PREFIX} and {MIN_BYTES} to {MAX_BYTES} bytes in standard base64"
)


class SealedElsewhereError(PermanentError):
    """What is stored was sealed with another key than this process has."""

    def __init__(self) -> None:
        super().__init__(
            "The secret was sealed with another WAYBILL_SECRET_KEY: set that one again, or rotate "
            "the secret and set the headers anew"
        )


class Seal:
    """Seals what is stored and opens it again; `SettingsError` where it has no key and needs it."""

    def __init__(self, secret_key: SecretStr | None) -> None:
        self._secret_key = secret_key

    def require_key(self) -> None:
        """Raises `SettingsError` where there is no key."""
        self.seal(b"")

    def seal(self, plain: bytes) -> bytes:
        """A token that only the same key opens."""
        return self._fernet.encrypt(plain)

    def unseal(self, sealed: bytes) -> bytes:
        """What was sealed, or `SealedElsewhereError`."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken as exc:
            raise SealedElsewhereError from exc

    @cached_property
    def _fernet(self) -> Fernet:
        held = self._secret_key
        text = required(held.get_secret_value() if held else None, "secret_key")
        derived = HKDF(SHA256(), length=32, salt=None, info=PURPOSE).derive(text.encode())
        return Fernet(base64.urlsafe_b64encode(derived))


def make_key() -> bytes:
    """The bytes of a new secret."""
    return secrets.token_bytes(MADE_BYTES)


def read_secret(text: str) -> bytes:
    """The bytes of a secret as its owner writes it; `ValueError` with a sentence for any other."""
    if not text.startswith(PREFIX):
        raise ValueError(FORM)
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ValueError(FORM) from exc
    if not MIN_BYTES <= len(key) <= MAX_BYTES:
        raise ValueError(FORM)
    return key


def write_secret(key: bytes) -> str:
    """The secret as receivers configure it."""
    return PREFIX + base64.b64encode(key).decode()
