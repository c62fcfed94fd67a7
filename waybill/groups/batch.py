"""Batches: objects that are processed together."""

from collections.abc import Mapping, Sequence
from typing import Final

from waybill.endpoint import D, Group, endpoint, items
from waybill.flow.path import path_to
from waybill.flow.step import Flow, Item, ItemFlow, fetch
from waybill.flow.verb import act, ask, create, fetched, get, said, walk
from waybill.types import Batch, FailedDocument, Page, Task

FAILED_PAGE: Final = 1_000  # rows of one call


class Batches(Group[D]):
    """Drafts of objects, and the tasks that process them; a bucket is an id or a name."""

    @endpoint
    def create(
        self,
        bucket: str,
        *,
        object_ids: Sequence[str] | None = None,
        filters: Mapping[str, object] | None = None,
        collection_ids: Sequence[str] | None = None,
        batch_name: str | None = None,
        metadata: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Batch]:
        """A DRAFT of the objects with these ids, or of those that the filters select.

        `filters={}` selects all; without `collection_ids` every collection that reads the bucket
        takes part.
        """
        body = said(
            object_ids=object_ids,
            filters=filters,
            collection_ids=collection_ids,
            batch_name=batch_name,
            metadata=metadata,
        )
        return fetched(
            Batch, create(path_to("buckets", bucket, "batches"), body, key=idempotency_key)
        )

    @endpoint
    def add_objects(
        self,
        bucket: str,
        batch_id: str,
        object_ids: Sequence[str] | None = None,
        *,
        filters: Mapping[str, object] | None = None,
    ) -> Flow[Batch]:
        """Adds objects to a DRAFT; one that is in it already changes nothing."""
        body = said(object_ids=object_ids, filters=filters)
        path = path_to("buckets", bucket, "batches", batch_id, "objects")
        return fetched(Batch, act(path, body, repeatable=True))

    @endpoint
    def submit(
        self,
        bucket: str,
        batch_id: str,
        *,
        webhook_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Task]:
        """The task that processes the batch; a second submit gives the same one.

        `webhook_url` of the first submit is sent one signed event when the task has ended.
        """
        path = path_to("buckets", bucket, "batches", batch_id, "submit")
        return fetched(Task, create(path, said(webhook_url=webhook_url), key=idempotency_key))

    @endpoint
    def get(self, batch_id: str, *, bucket: str | None = None) -> Flow[Batch]:
        """The batch; its status is its task's."""
        within = () if bucket is None else ("buckets", bucket)
        return fetched(Batch, get(path_to(*within, "batches", batch_id)))

    @items
    def list(
        self,
        bucket: str,
        *,
        filters: Mapping[str, object] | None = None,
        sort: Mapping[str, object] | None = None,
        search: str | None = None,
        page_size: int = 100,
    ) -> ItemFlow[Batch]:
        """Every batch of the bucket that is selected, the newest first, page by page."""
        body = said(filters=filters, sort=sort, search=search)
        return walk(Batch, path_to("buckets", bucket, "batches", "list"), body, page_size=page_size)

    @endpoint
    def page(
        self,
        bucket: str,
        *,
        filters: Mapping[str, object] | None = None,
        sort: Mapping[str, object] | None = None,
        search: str | None = None,
        page_size: int = 100,
        cursor: str | None = None,
        include_total: bool = False,
    ) -> Flow[Page[Batch]]:
        """One page; `pagination.next_cursor` names the next."""
        body = said(
            filters=filters,
            sort=sort,
            search=search,
            limit=page_size,
            cursor=cursor,
            include_total=include_total,
        )
        return fetched(Page[Batch], ask(path_to("buckets", bucket, "batches", "list"), body))

    @endpoint
    def cancel(self, bucket: str, batch_id: str, *, reason: str | None = None) -> Flow[Task]:
        """Asks for the end of the batch's task, which is the answer."""
        path = path_to("buckets", bucket, "batches", batch_id, "cancel")
        return fetched(Task, act(path, said(reason=reason), repeatable=True))

    @endpoint
    def retry(
        self,
        bucket: str,
        batch_id: str,
        *,
        webhook_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Task]:
        """A new task for a batch whose last one ended."""
        path = path_to("buckets", bucket, "batches", batch_id, "retry")
        return fetched(Task, create(path, said(webhook_url=webhook_url), key=idempotency_key))

    @items
    def failed_documents(
        self, bucket: str, batch_id: str, *, collection_id: str | None = None
    ) -> ItemFlow[FailedDocument]:
        """The objects that became no document, by object id.

        The API counts no further than about eleven thousand: `ApiError` 422 after those.
        """
        path = path_to("buckets", bucket, "batches", batch_id, "failed-documents")
        offset = 0
        while True:
            place = said(limit=FAILED_PAGE, offset=offset, collection_id=collection_id)
            answer = yield from fetch(get(path, place))
            rows: Sequence[FailedDocument] = answer["results"]
            for row in rows:
                yield Item(row)
            offset += len(rows)
            if offset >= answer["total"] or not rows:
                return
