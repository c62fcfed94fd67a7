"""API keys: who may do what, where, and how often."""

from collections.abc import Sequence

from waybill.endpoint import D, endpoint
from waybill.flow.path import path_to
from waybill.flow.step import Flow
from waybill.flow.verb import UNSET, Unset, change, create, delete, fetched, get, said
from waybill.groups.listed import Listed
from waybill.types import Key, KeyAnswer, NewKey, Permission


class Keys(Listed[D, Key]):
    """API keys; only an admin's key works with them."""

    kind = Key
    parts = ("organizations", "api-keys")

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
