"""Namespaces: the tenants."""

from collections.abc import Mapping

from waybill.endpoint import D, Group, endpoint, items
from waybill.flow.path import path_to
from waybill.flow.step import Flow, ItemFlow
from waybill.flow.verb import UNSET, Unset, ask, change, create, delete, fetched, get, said, walk
from waybill.types import Deleted, Namespace, Page


class Namespaces(Group[D]):
    """Tenants; each other thing belongs to exactly one."""

    @endpoint
    def create(
        self,
        namespace_name: str,
        *,
        description: str | None = None,
        metadata: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Namespace]:
        """A new namespace; `ApiError` 409 where the name is taken."""
        body = said(namespace_name=namespace_name, description=description, metadata=metadata)
        return fetched(Namespace, create(path_to("namespaces"), body, key=idempotency_key))

    @endpoint
    def get(self, namespace: str) -> Flow[Namespace]:
        """The namespace with this id or name."""
        return fetched(Namespace, get(path_to("namespaces", namespace)))

    @items
    def list(
        self,
        *,
        filters: Mapping[str, object] | None = None,
        sort: Mapping[str, object] | None = None,
        search: str | None = None,
        page_size: int = 100,
    ) -> ItemFlow[Namespace]:
        """Every namespace that the key opens, the newest first, page by page."""
        body = said(filters=filters, sort=sort, search=search)
        return walk(Namespace, path_to("namespaces", "list"), body, page_size=page_size)

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
    ) -> Flow[Page[Namespace]]:
        """One page; `pagination.next_cursor` names the next."""
        body = said(
            filters=filters,
            sort=sort,
            search=search,
            limit=page_size,
            cursor=cursor,
            include_total=include_total,
        )
        return fetched(Page[Namespace], ask(path_to("namespaces", "list"), body))

    @endpoint
    def change(
        self,
        namespace: str,
        *,
        description: str | Unset | None = UNSET,
        metadata: Mapping[str, object] | Unset = UNSET,
        quotas: Mapping[str, int | None] | Unset = UNSET,
    ) -> Flow[Namespace]:
        """Sets what is given; quotas need an admin's key."""
        path = path_to("namespaces", namespace)
        call = change(path, description=description, metadata=metadata, quotas=quotas)
        return fetched(Namespace, call)

    @endpoint
    def delete(self, namespace: str) -> Flow[Deleted]:
        """Deletes a namespace that holds nothing."""
        return fetched(Deleted, delete(path_to("namespaces", namespace)))
