"""API keys: who may do what, where, and how often."""

from collections.abc import Mapping, Sequence

from waybill.endpoint import D, Group, endpoint, items
from waybill.flow.path import path_to
from waybill.flow.step import Flow, ItemFlow
from waybill.flow.verb import UNSET, Unset, ask, change, create, delete, fetched, get, said, walk
from waybill.types import Key, KeyAnswer, NewKey, Page, Permission


class Keys(Group[D]):
    """API keys; only an admin's key works with them."""

    @endpoint
    def create(
        self,
        name: str,
        permission: Permission,
        *,
        namespaces: Sequence[str] | None = None,
        expires_at: str | None = None,
        rate_limit_per_minute: int | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[NewKey]:
        """A new key; its `secret` is in this answer and in no other."""
        body = said(
            name=name,
            permission=permission,
            namespaces=namespaces,
            expires_at=expires_at,
            rate_limit_per_minute=rate_limit_per_minute,
        )
        path = path_to("organizations", "api-keys")
        return fetched(NewKey, create(path, body, key=idempotency_key))

    @endpoint
    def get(self, key_id: str) -> Flow[Key]:
        """The key, without its secret."""
        return fetched(Key, get(path_to("organizations", "api-keys", key_id)))

    @items
    def list(
        self,
        *,
        filters: Mapping[str, object] | None = None,
        sort: Mapping[str, object] | None = None,
        search: str | None = None,
        page_size: int = 100,
    ) -> ItemFlow[Key]:
        """Every key, revoked ones too, the newest first, page by page."""
        body = said(filters=filters, sort=sort, search=search)
        return walk(Key, path_to("organizations", "api-keys", "list"), body, page_size=page_size)

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
    ) -> Flow[Page[Key]]:
        """One page; `pagination.next_cursor` names the next."""
        body = said(
            filters=filters,
            sort=sort,
            search=search,
            limit=page_size,
            cursor=cursor,
            include_total=include_total,
        )
        return fetched(Page[Key], ask(path_to("organizations", "api-keys", "list"), body))

    @endpoint
    def change(
        self,
        key_id: str,
        *,
        name: str | Unset = UNSET,
        rate_limit_per_minute: int | Unset | None = UNSET,
        expires_at: str | Unset | None = UNSET,
    ) -> Flow[Key]:
        """Sets what is given."""
        call = change(
            path_to("organizations", "api-keys", key_id),
            name=name,
            rate_limit_per_minute=rate_limit_per_minute,
            expires_at=expires_at,
        )
        return fetched(Key, call)

    @endpoint
    def rotate(
        self, key_id: str, *, overlap_s: int = 0, idempotency_key: str | None = None
    ) -> Flow[NewKey]:
        """The key with a new `secret`; the old one works for `overlap_s` more."""
        path = path_to("organizations", "api-keys", key_id, "rotate")
        return fetched(NewKey, create(path, {"overlap_s": overlap_s}, key=idempotency_key))

    @endpoint
    def revoke(self, key_id: str) -> Flow[KeyAnswer]:
        """Ends the key for good."""
        return fetched(KeyAnswer, delete(path_to("organizations", "api-keys", key_id)))
