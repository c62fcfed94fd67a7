"""The content of a blob: inline in the request, or as bytes that its URL names."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Final, cast

from app.errors import InvalidError, PermanentError
from app.json_value import JsonValue
from app.resources.property import Location, PropertyType, mismatch, shown

_TEXTS: Final = frozenset({PropertyType.STRING, PropertyType.TEXT})

# Types whose `data` may be an object that says how the content is brought; elsewhere it is JSON.
_WITH_FORMS: Final = _TEXTS | {PropertyType.IMAGE}

_URL_START: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://")

_DATA_URI: Final = re.compile(
    r"data:(?P<media>[^,;]*)(?:;[^,;=]+=[^,;]*)*;base64,(?P<payload>.*)", re.DOTALL | re.IGNORECASE
)  # RFC 2397


def blob_url(type_: PropertyType, data: object, url: str | None) -> str | None:
    """The URL of a blob's content, or None when `data` is the content.

    A URL stands in `url`, in `data` as `{"url": …}`, or, for an image, in `data` as it is. A text
    in `data` is always the text itself, also when it begins like a URL.
    """
    if url is not None:
        return url
    match data:
        case {"url": str(inner), **rest} if not rest and type_ in _WITH_FORMS:
            return inner
        case str() if type_ is PropertyType.IMAGE and _URL_START.match(data):
            return data
        case _:
            return None


def decode_inline(
    type_: PropertyType,
    data: object,
    *,
    max_bytes: int | None = None,
    location: Location = ("data",),
) -> str | bytes | JsonValue:
    """The content that `data` holds: a string of a text, bytes of an image, JSON of the rest.

    A text comes as a string or `{"text": …}`; an image as base64, a data: URI or `{"base64": …,
    "mime_type"?, "filename"?}`. Raises `InvalidError` at `location` for another shape, for bad
    base64, and for content of more than `max_bytes` (bytes of UTF-8 for text and JSON).
    """
    if type_ is PropertyType.IMAGE:
        content: str | bytes | JsonValue = _image_bytes(data, location)
    elif type_ in _TEXTS and isinstance(data, Mapping) and set(data) == {"text"}:
        content = _checked(type_, data["text"], location)
    else:
        content = _checked(type_, data, location)
    if max_bytes is not None and (size := _size_bytes(content)) > max_bytes:
        message = f"the content has {size} bytes, more than the {max_bytes} that a blob may have"
        raise InvalidError.at(*location, message=message, kind="too_large")
    return content


def decode_file(type_: PropertyType, content: bytes) -> str | bytes | JsonValue:
    """What a file of a blob's content holds, by the blob's type: UTF-8 text, an image, or JSON.

    Raises `PermanentError` with a sentence when the file does not hold that.
    """
    if type_ is PropertyType.IMAGE:
        return content
    try:
        text = content.decode("utf-8-sig")
        value: object = text if type_ in _TEXTS else json.loads(text)
    except (ValueError, RecursionError) as exc:
        wanted = "UTF-8 text" if type_ in _TEXTS else "JSON"
        raise PermanentError(f"the file does not hold {wanted}") from exc
    if (flaw := mismatch(type_, value)) is not None:
        raise PermanentError(f"the file's content {flaw}")
    return cast(JsonValue, value)


def _checked(type_: PropertyType, value: object, location: Location) -> JsonValue:
    if (flaw := mismatch(type_, value)) is not None:
        raise InvalidError.at(*location, message=f"the content {flaw}", kind="type_error")
    return cast(JsonValue, value)


def _image_bytes(data: object, location: Location) -> bytes:
    match data:
        case str():
            encoded = data
        case {"base64": str(encoded), **rest} if rest.keys() <= {"mime_type", "filename"}:
            pass
        case _:
            message = "an image comes as base64, as data:image/png;base64,… or by URL"
            raise InvalidError.at(*location, message=message, kind="type_error")
    if encoded[:5].lower() == "data:":
        encoded = _payload(encoded, location)
    try:
        # Encoders break base64 into lines (RFC 2045); what else isn't of the alphabet is an error.
        content = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as exc:
        message = f"the image is not valid base64 ({exc})"
        raise InvalidError.at(*location, message=message) from exc
    if not content:
        raise InvalidError.at(*location, message="the image is empty")
    return content


def _payload(uri: str, location: Location) -> str:
    match = _DATA_URI.fullmatch(uri)
    if match is None:
        message = "a data: URI of an image reads data:image/png;base64,…"
        raise InvalidError.at(*location, message=message)
    if not match["media"].lower().startswith("image/"):
        message = f"the data: URI holds '{shown(match['media'])}', not an image"
        raise InvalidError.at(*location, message=message)
    return match["payload"]


def _size_bytes(content: str | bytes | JsonValue) -> int:
    match content:
        case bytes():
            return len(content)
        case str():
            return len(content.encode())
        case _:
            return len(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())
