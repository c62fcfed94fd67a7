"""Objects: what is put into buckets."""

from collections.abc import Mapping, Sequence

from waybill.endpoint import D, Group, endpoint, items
from waybill.flow.bulk import in_bulk
from waybill.flow.path import path_to
from waybill.flow.step import Flow, ItemFlow
from waybill.flow.verb import ask, create, delete, fetched, get, said, walk
from waybill.types import Deleted, NewBlob, Page, Partial, StoredObject


class Objects(Group[D]):
    """The contents of buckets; a bucket is named by its id or name."""

    @endpoint
    def create(
        self,
        bucket: str,
        *,
        blobs: Sequence[NewBlob] = (),
        key_prefix: str | None = None,
        metadata: Mapping[str, object] | None = None,
        fields: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[StoredObject]:
        """A new object: contents in `blobs`, other properties of the schema in `fields`."""
        own = said(blobs=list(blobs), key_prefix=key_prefix, metadata=metadata)
        body = {**(fields or {}), **own}
        path = path_to("buckets", bucket, "objects")
        return fetched(StoredObject, create(path, body, key=idempotency_key))

    @endpoint
    def create_many(
        self,
        bucket: str,
        objects: Sequence[Mapping[str, object]],
        *,
        idempotency_key: str | None = None,
    ) -> Flow[Partial[StoredObject]]:
        """What became of each object; one that is refused stops no other.

        An object has the keys of `create`, and its fields beside them. More than a thousand are
        sent in several calls: where one fails as a whole its error is raised and those before it
        stand; the same `idempotency_key` takes it up there.
        """
        path = path_to("buckets", bucket, "objects", "batch")
        return in_bulk(StoredObject, path, "objects", objects, key=idempotency_key)

    @endpoint
    def get(self, bucket: str, object_id: str) -> Flow[StoredObject]:
        """The object with its contents."""
        return fetched(StoredObject, get(path_to("buckets", bucket, "objects", object_id)))

    @items
    def list(
        self,
        bucket: str,
        *,
        filters: Mapping[str, object] | None = None,
        sort: Mapping[str, object] | None = None,
        page_size: int = 100,
    ) -> ItemFlow[StoredObject]:
        """Every object that is selected, without contents, the newest first, page by page."""
        body = said(filters=filters, sort=sort)
        return walk(
            StoredObject, path_to("buckets", bucket, "objects", "list"), body, page_size=page_size
        )

    @endpoint
    def page(
        self,
        bucket: str,
        *,
        filters: Mapping[str, object] | None = None,
        sort: Mapping[str, object] | None = None,
        page_size: int = 100,
        cursor: str | None = None,
        include_total: bool = False,
    ) -> Flow[Page[StoredObject]]:
        """One page; `pagination.next_cursor` names the next."""
        body = said(
            filters=filters,
            sort=sort,
            limit=page_size,
            cursor=cursor,
            include_total=include_total,
        )
        return fetched(Page[StoredObject], ask(path_to("buckets", bucket, "objects", "list"), body))

    @endpoint
    def delete(self, bucket: str, object_id: str) -> Flow[Deleted]:
        """Deletes the object; documents that were made of it stay."""
        return fetched(Deleted, delete(path_to("buckets", bucket, "objects", object_id)))
