"""Namespaces: these routes belong to no namespace, only to the key's scope."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from app.access.key import ApiKey
from app.access.permission import Permission
from app.errors import ForbiddenError, InvalidError, NotFoundError
from app.http.body import CREATED, Body, Description, JsonObject, Metadata, Name
from app.http.caller import require_key
from app.http.idempotency import CREATES, IdempotentRoute
from app.http.listing import ListBody, ListParams, counted, list_query, listed
from app.resources.namespace import Namespace
from app.stores import Held, Stores

router = APIRouter(prefix="/v1/namespaces", tags=["namespaces"], route_class=IdempotentRoute)

ReadKey = Annotated[ApiKey, Depends(require_key(Permission.READ))]
WriteKey = Annotated[ApiKey, Depends(require_key(Permission.WRITE))]
DeleteKey = Annotated[ApiKey, Depends(require_key(Permission.DELETE))]

# Paths below /v1/namespaces that a namespace of that name would hide.
RESERVED: Final = frozenset({"list", "migrations", "standalone", "stats"})


class CreateNamespace(Body):
    """A tenant to be."""

    namespace_name: Name
    description: Description | None = None
    metadata: Metadata = Field(default_factory=dict)
    mode: Literal["managed"] = "managed"  # the public client always sends it


class PatchNamespace(Body):
    """What changes; a key that is left out stays as it is."""

    description: Description | None = None
    metadata: Metadata = Field(default_factory=dict)


class ListNamespaces(ListBody):
    """What a list of namespaces takes."""


@router.post("", status_code=CREATED, openapi_extra=CREATES)
def create_namespace(body: CreateNamespace, key: WriteKey, stores: Held) -> JsonObject:
    """A new namespace; its name is taken from then on."""
    if key.namespace_ids is not None:
        raise ForbiddenError("This key is limited to some namespaces: it cannot make others")
    if body.namespace_name in RESERVED or body.namespace_name.startswith("ns_"):
        message = f"'{body.namespace_name}' is reserved: take another name"
        raise InvalidError.at("body", "namespace_name", message=message)
    created = stores.namespaces.create(body.namespace_name, body.description, body.metadata)
    return created.to_json()


@router.post("/list")
def list_namespaces(
    request: Request,
    key: ReadKey,
    stores: Held,
    params: Annotated[ListParams, Query()],
    body: ListNamespaces | None = None,
) -> JsonObject:
    """A page of the namespaces that the key opens, the newest first."""
    query = list_query(params, body)
    page = stores.namespaces.list(key.namespace_ids, counted(query))
    return listed(request, query, page.map(Namespace.to_json))


@router.get("")
def get_namespaces(
    request: Request, key: ReadKey, stores: Held, params: Annotated[ListParams, Query()]
) -> JsonObject:
    """The same list without filters."""
    return list_namespaces(request, key, stores, params)


@router.get("/{namespace_identifier}")
def get_namespace(namespace_identifier: str, key: ReadKey, stores: Held) -> JsonObject:
    """The namespace with this id or name."""
    return _find(stores, key, namespace_identifier).to_json()


@router.patch("/{namespace_identifier}")
def patch_namespace(
    namespace_identifier: str, body: PatchNamespace, key: WriteKey, stores: Held
) -> JsonObject:
    """Description and metadata change; nothing else does."""
    namespace = _find(stores, key, namespace_identifier)
    changes = body.model_dump(exclude_unset=True)
    return stores.namespaces.change(namespace.namespace_id, changes).to_json()


@router.delete("/{namespace_identifier}")
def delete_namespace(namespace_identifier: str, key: DeleteKey, stores: Held) -> JsonObject:
    """Deletes a namespace that holds nothing."""
    namespace = _find(stores, key, namespace_identifier)
    stores.namespaces.delete_empty(namespace)
    stores.directory.forget()
    return {"success": True, "message": f"The namespace '{namespace.namespace_name}' is deleted"}


def _find(stores: Stores, key: ApiKey, identifier: str) -> Namespace:
    namespace = stores.namespaces.find(identifier)
    if namespace is None or not key.opens(namespace.namespace_id):
        raise NotFoundError(f"There is no namespace '{identifier[:128]}'")
    return namespace
