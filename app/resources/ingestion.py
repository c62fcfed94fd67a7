"""From the object of a request to the object that is stored, or all that is wrong with it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import bson

from app.database import Document
from app.errors import InvalidError, Problem
from app.fetch.reader import ContentReader
from app.identity import new_id
from app.resources.bucket import Bucket
from app.resources.content import blob_url, decode_inline
from app.resources.property import Location, PropertyType, shown
from app.resources.schema import violations

MAX_OBJECT_BYTES: Final = 15 * 1024 * 1024  # MongoDB holds documents of 16 MB
MAX_BLOBS: Final = 100
MAX_FIELDS: Final = 1_000


@dataclass(frozen=True, slots=True)
class NewObject:
    """An object as a request brings it; `blobs` are `{"property", "type", "data" or "url", …}`."""

    key_prefix: str | None = None
    blobs: Sequence[Mapping[str, object]] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ingestion:
    """The checks of one bucket. Pure but for the ids it makes."""

    bucket: Bucket
    reader: ContentReader
    max_blob_bytes: int

    def prepare(self, new: NewObject, now: datetime, *, place: str = "") -> Document:
        """The document to store; `InvalidError` with every problem, at its place in the object.

        `place` is where the object stands in its request.
        """
        if len(new.blobs) > MAX_BLOBS or len(new.fields) > MAX_FIELDS:
            message = f"an object has at most {MAX_BLOBS} blobs and {MAX_FIELDS} fields"
            raise InvalidError.at("blobs", message=message, kind="too_large")
        problems = violations(self.bucket.schema, new.fields, new.blobs)
        if problems:
            raise InvalidError(problems)
        blobs = self._blobs(new.blobs, place)
        stored: Document = {
            "_id": new_id("obj", place),
            "namespace_id": self.bucket.namespace_id,
            "bucket_id": self.bucket.bucket_id,
            "key_prefix": new.key_prefix,
            "blobs": blobs,
            "size_bytes": sum(blob["size_bytes"] or 0 for blob in blobs),
            "metadata": dict(new.metadata),
            "fields": dict(new.fields),
            "created_at": now,
            "updated_at": now,
        }
        if self.bucket.unique_fields:
            stored["unique_key"] = unique_key(self.bucket.unique_fields, stored)
        size = len(bson.encode(stored))
        if size > MAX_OBJECT_BYTES:
            message = f"the object has {size} bytes, more than the {MAX_OBJECT_BYTES} it may have"
            raise InvalidError.at("blobs", message=message, kind="too_large")
        return stored

    def _blobs(self, blobs: Sequence[Mapping[str, object]], place: str) -> list[Document]:
        stored: list[Document] = []
        problems: list[Problem] = []
        for index, blob in enumerate(blobs):
            try:
                content = self._blob(blob, ("blobs", index))
                stored.append({"blob_id": new_id("blob", f"{place}:{index}"), **content})
            except InvalidError as exc:
                problems += exc.problems
        if problems:
            raise InvalidError(problems)
        return stored

    def _blob(self, blob: Mapping[str, object], place: Location) -> Document:
        kind = PropertyType(str(blob["type"]))
        sent_url = blob.get("url")
        url = blob_url(kind, blob.get("data"), str(sent_url) if sent_url is not None else None)
        content: Document
        if url is not None:
            self.reader.check_url(url, location=(*place, "url"))
            content = {"url": url, "size_bytes": None}
        else:
            data = decode_inline(
                kind,
                blob.get("data"),
                max_bytes=self.max_blob_bytes,
                location=(*place, "data"),
            )
            content = {"data": data, "size_bytes": size_bytes(data)}
        return {
            "property": blob["property"],
            "type": kind.value,
            **content,
            "metadata": blob.get("metadata") or {},
        }


def unique_key(names: Sequence[str], stored: Document) -> str:
    """A digest of the values under `names`, equal for equal values only.

    Numbers are equal as in JSON, 1 and 1.0 alike. `InvalidError` when a value is missing.
    """
    values: dict[str, object] = dict(stored["fields"])
    values |= {blob["property"]: blob.get("data", blob.get("url")) for blob in stored["blobs"]}
    missing = [name for name in names if values.get(name) in (None, "")]
    if missing:
        raise InvalidError(
            [
                Problem((name,), f"'{shown(name)}' is the bucket's unique key: give it a value")
                for name in missing
            ]
        )
    canonical = json.dumps([_plain(values[name]) for name in names], sort_keys=True)
    return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()


def size_bytes(data: object) -> int:
    """The bytes of a content: those of an image, else of its UTF-8 text or JSON."""
    match data:
        case bytes():
            return len(data)
        case str():
            return len(data.encode())
        case _:
            return len(json.dumps(data, ensure_ascii=False).encode())


def _plain(value: object) -> object:
    match value:
        case bytes():
            return hashlib.sha256(value).hexdigest()
        case float() if value.is_integer():
            return int(value)
        case _:
            return value
