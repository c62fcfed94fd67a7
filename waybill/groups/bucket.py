"""Buckets: named sets of objects under one schema."""

from collections.abc import Mapping

from waybill.endpoint import D, endpoint
from waybill.flow.path import path_to
from waybill.flow.step import Flow
from waybill.flow.verb import UNSET, Unset, change, create, delete, fetched, get, said
from waybill.groups.listed import Listed
from waybill.types import Bucket, Removed


class Buckets(Listed[D, Bucket]):
    """Where objects are kept."""

    kind = Bucket
    parts = ("buckets",)

    @endpoint
    def create(
        self,
        bucket_name: str,
        *,
        bucket_schema: Mapping[str, object],
        unique_key: str | Mapping[str, object] | None = None,
        description: str | None = None,
        metadata: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Bucket]:
        """A new bucket: `bucket_schema={"properties": {name: {"type": …, "required": …}}}`."""
        body = said(
            bucket_name=bucket_name,
            bucket_schema=bucket_schema,
            unique_key=unique_key,
            description=description,
            metadata=metadata,
        )
        return fetched(Bucket, create(path_to("buckets"), body, key=idempotency_key))

    @endpoint
    def get(self, bucket: str) -> Flow[Bucket]:
        """The bucket with this id or name."""
        return fetched(Bucket, get(path_to("buckets", bucket)))

    @endpoint
    def change(
        self,
        bucket: str,
        *,
        description: str | Unset | None = UNSET,
        bucket_schema: Mapping[str, object] | Unset = UNSET,
        metadata: Mapping[str, object] | Unset = UNSET,
    ) -> Flow[Bucket]:
        """Sets what is given; a schema may only gain properties that are not required."""
        path = path_to("buckets", bucket)
        call = change(path, description=description, bucket_schema=bucket_schema, metadata=metadata)
        return fetched(Bucket, call)

    @endpoint
    def delete(self, bucket: str) -> Flow[Removed]:
        """Deletes the bucket at once, and what is in it by the answer's task."""
        return fetched(Removed, delete(path_to("buckets", bucket)))
