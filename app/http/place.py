"""Where a request works that need not name a namespace: there, or in all that its key may see."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request

from app.access.key import ApiKey
from app.access.permission import Permission
from app.http.caller import Documented, check, key_of, namespace_of

PlaceHeader = Annotated[
    str | None,
    Header(alias="X-Namespace", description="id or name; all that the key may see without it"),
]


@dataclass(frozen=True, slots=True)
class Place:
    """The key that calls, and the namespace that it names, if it names one.

    Without one a key to every namespace works in all of the organization, and sees what is of no
    namespace, and a key that is limited works in its namespaces.
    """

    key: ApiKey
    namespace_id: str | None

    @property
    def namespace_ids(self) -> frozenset[str] | None:
        """The namespaces that are seen; None: all, and what is of none."""
        if self.namespace_id is not None:
            return frozenset({self.namespace_id})
        return self.key.namespace_ids


def _placed(permission: Permission) -> Callable[..., Awaitable[Place]]:
    async def place(request: Request, _: Documented, __: PlaceHeader = None) -> Place:
        key = check(await key_of(request), permission)
        if not request.headers.get("x-namespace", "").strip():
            return Place(key, None)
        return Place(key, (await namespace_of(request, key)).namespace_id)

    return place


Reading = Annotated[Place, Depends(_placed(Permission.READ))]
Writing = Annotated[Place, Depends(_placed(Permission.WRITE))]
Deleting = Annotated[Place, Depends(_placed(Permission.DELETE))]
