"""Namespaces: the tenants."""

from collections.abc import Mapping

from waybill.endpoint import D, endpoint
from waybill.flow.path import path_to
from waybill.flow.step import Flow
from waybill.flow.verb import UNSET, Unset, change, create, delete, fetched, get, said
from waybill.groups.listed import Listed
from waybill.types import Namespace, Removed


class Namespaces(Listed[D, Namespace]):
    """Tenants; each other thing belongs to exactly one."""

    kind = Namespace
    parts = ("namespaces",)

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
    def delete(self, namespace: str) -> Flow[Removed]:
        """Deletes the namespace at once, and what is in it by the answer's task."""
        return fetched(Removed, delete(path_to("namespaces", namespace)))
