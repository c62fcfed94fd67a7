"""What all lists of the API have in common."""

from collections.abc import Mapping
from typing import ClassVar, Generic, TypeVar

from waybill.endpoint import D, Group, endpoint, items
from waybill.flow.path import path_to
from waybill.flow.step import Flow, ItemFlow
from waybill.flow.verb import ask, fetched, said, walk
from waybill.types import Page

R = TypeVar("R")


class Listed(Group[D], Generic[D, R]):
    """A group whose things are listed; it says what they are, and where, by the path's parts."""

    kind: type[R]
    parts: ClassVar[tuple[str, ...]]

    @items
    def list(
        self,
        *,
        filters: Mapping[str, object] | None = None,
        sort: Mapping[str, object] | None = None,
        search: str | None = None,
        page_size: int = 100,
    ) -> ItemFlow[R]:
        """Every one that the key may see, the newest first, page by page."""
        body = said(filters=filters, sort=sort, search=search)
        return walk(self.kind, path_to(*self.parts, "list"), body, page_size=page_size)

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
    ) -> Flow[Page[R]]:
        """One page; `pagination.next_cursor` names the next."""
        body = said(
            filters=filters,
            sort=sort,
            search=search,
            limit=page_size,
            cursor=cursor,
            include_total=include_total,
        )
        return fetched(Page[R], ask(path_to(*self.parts, "list"), body))
