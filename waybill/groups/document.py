"""Documents: what extractors made of objects."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from waybill.endpoint import D, Group, endpoint, items
from waybill.flow.path import path_to
from waybill.flow.step import Flow, ItemFlow, fetch
from waybill.flow.verb import ask, fetched, get, said, walk
from waybill.types import Document, Page
from waybill.types import Group as DocumentGroup

Groups: TypeAlias = list[DocumentGroup]


class Documents(Group[D]):
    """The contents of collections; a collection is named by its id or name."""

    @endpoint
    def get(self, collection: str, document_id: str, *, vectors: bool = False) -> Flow[Document]:
        """The document, with its vectors where they are asked for."""
        path = path_to("collections", collection, "documents", document_id)
        return fetched(Document, get(path, {"return_vectors": vectors}))

    @items
    def list(
        self,
        collection: str,
        *,
        filters: Mapping[str, object] | None = None,
        sort: Mapping[str, object] | None = None,
        page_size: int = 100,
        vectors: bool = False,
    ) -> ItemFlow[Document]:
        """Every document that is selected, the newest first, page by page."""
        body = said(filters=filters, sort=sort, return_vectors=vectors)
        return walk(
            Document,
            path_to("collections", collection, "documents", "list"),
            body,
            page_size=page_size,
        )

    @endpoint
    def page(
        self,
        collection: str,
        *,
        filters: Mapping[str, object] | None = None,
        sort: Mapping[str, object] | None = None,
        page_size: int = 100,
        vectors: bool = False,
        cursor: str | None = None,
        include_total: bool = False,
    ) -> Flow[Page[Document]]:
        """One page; `pagination.next_cursor` names the next."""
        body = said(
            filters=filters,
            sort=sort,
            return_vectors=vectors,
            limit=page_size,
            cursor=cursor,
            include_total=include_total,
        )
        return fetched(
            Page[Document], ask(path_to("collections", collection, "documents", "list"), body)
        )

    @endpoint
    def count(self, collection: str, *, filters: Mapping[str, object] | None = None) -> Flow[int]:
        """How many documents the filters select; all of them without any."""
        path = path_to("collections", collection, "documents", "count")
        answer = yield from fetch(ask(path, said(filters=filters)))
        return int(answer["count"])

    @endpoint
    def aggregate(
        self,
        collection: str,
        aggregations: Sequence[Mapping[str, object]],
        *,
        group_by: str | Sequence[str | Mapping[str, object]] | None = None,
        filters: Mapping[str, object] | None = None,
        sort_by: str | None = None,
        sort_direction: str | None = None,
        limit: int | None = None,
    ) -> Flow[Groups]:
        """Counts, sums, averages, least and greatest values of groups of documents.

        An aggregation is `{"function": "sum", "field": …, "alias": …}`.
        """
        body = said(
            aggregations=aggregations,
            group_by=group_by,
            filters=filters,
            sort_by=sort_by,
            sort_direction=sort_direction,
            limit=limit,
        )
        path = path_to("collections", collection, "documents", "aggregate")
        answer = yield from fetch(ask(path, body))
        found: Groups = answer["results"]
        return found
