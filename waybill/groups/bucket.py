"""Buckets: named sets of objects under one schema."""

from collections.abc import Mapping

from waybill.endpoint import D, Group, endpoint, items
from waybill.flow.path import path_to
from waybill.flow.step import Flow, ItemFlow
from waybill.flow.verb import UNSET, Unset, ask, change, create, delete, fetched, get, said, walk
from waybill.types import Bucket, Deleted, Page


class Buckets(Group[D]):
    """Where objects are kept."""

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

    @items
    def list(
        self,
        *,
        filters: Mapping[str, object] | None = None,
        sort: Mapping[str, object] | None = None,
        search: str | None = None,
        page_size: int = 100,
    ) -> ItemFlow[Bucket]:
        """Every bucket of the namespace, the newest first, page by page."""
        body = said(filters=filters, sort=sort, search=search)
        return walk(Bucket, path_to("buckets", "list"), body, page_size=page_size)

    @endpoint
    def page(
        self,
        *,
        filters: Mapping[str, object] | None = None,
        sort: Mapping[str, object] | None = None,
        search: str | None = None,
        page_size: int = 100,
        cursor: str | None = None,
        include_total: bool = False,
    ) -> Flow[Page[Bucket]]:
        """One page; `pagination.next_cursor` names the next."""
        body = said(
            filters=filters,
            sort=sort,
            search=search,
            limit=page_size,
            cursor=cursor,
            include_total=include_total,
        )
        return fetched(Page[Bucket], ask(path_to("buckets", "list"), body))

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
    def delete(self, bucket: str) -> Flow[Deleted]:
        """Deletes a bucket that holds no objects."""
        return fetched(Deleted, delete(path_to("buckets", bucket)))
