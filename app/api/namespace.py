"""Namespaces: these routes belong to no namespace, only to the key's scope."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from app.access.key import ApiKey
from app.access.permission import Permission
from app.api.removal import removed
from app.api.shape import namespace as shape
from app.api.shape.removal import Removed
from app.errors import ForbiddenError, InvalidError, NotFoundError
from app.http.answer import answers
from app.http.body import CREATED, Body, Description, Integer, JsonObject, Metadata, Name
from app.http.caller import require_key
from app.http.example import example
from app.http.idempotency import CREATES, IdempotentRoute
from app.http.listing import ListBody, ListParams, counted, list_query, listed
from app.http.request_id import current_request_id
from app.http.switch import refused
from app.receipts.receipt import NewTask
from app.removal.again import remove_again
from app.removal.namespace import TASK_TYPE
from app.removal.namespace import delete_namespace as remove
from app.resources.namespace import Namespace
from app.stores import Held, Stores

router = APIRouter(prefix="/v1/namespaces", tags=["namespaces"], route_class=IdempotentRoute)

ReadKey = Annotated[ApiKey, Depends(require_key(Permission.READ))]
WriteKey = Annotated[ApiKey, Depends(require_key(Permission.WRITE))]
DeleteKey = Annotated[ApiKey, Depends(require_key(Permission.DELETE))]

Limit = Annotated[Integer, Field(ge=1, le=10_000_000)]

# Paths below /v1/namespaces that a namespace of that name would hide.
RESERVED: Final = frozenset({"list", "migrations", "standalone", "stats"})


class CreateNamespace(Body):
    """A tenant to be."""

    model_config = example({"namespace_name": "shop", "metadata": {"team": "web"}})

    namespace_name: Name
    description: Description | None = None
    metadata: Metadata = Field(default_factory=dict)
    mode: Literal["managed"] = "managed"  # the public client always sends it


class PatchQuotas(Body):
    """Limits on whole tasks; null takes one away, so that the setting's holds, and one that is
    left out stays."""

    max_running: Limit | None = None
    max_pending: Limit | None = None


class PatchNamespace(Body):
    """What changes; a key that is left out stays as it is."""

    model_config = example({"description": "The web shop"})

    description: Description | None = None
    metadata: Metadata = Field(default_factory=dict)
    quotas: PatchQuotas | None = None


class ListNamespaces(ListBody):
    """What a list of namespaces takes."""

    model_config = example({"sort": {"field": "namespace_name", "direction": "asc"}})


@router.post(
    "",
    status_code=CREATED,
    openapi_extra=CREATES,
    responses=answers(shape.Namespace, {409: "The name is taken."}),
)
def create_namespace(body: CreateNamespace, key: WriteKey, stores: Held) -> JsonObject:
    """A new namespace; its name is taken from then on."""
    if key.namespace_ids is not None:
        raise ForbiddenError("This key is limited to some namespaces: it cannot make others")
    if body.namespace_name in RESERVED or body.namespace_name.startswith("ns_"):
        message = f"'{body.namespace_name}' is reserved: take another name"
        raise InvalidError.at("body", "namespace_name", message=message)
    created = stores.namespaces.create(body.namespace_name, body.description, body.metadata)
    return created.to_json()


@router.post("/list", responses=answers(shape.NamespacePage))
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


@router.get("", responses=answers(shape.NamespacePage))
def get_namespaces(
    request: Request, key: ReadKey, stores: Held, params: Annotated[ListParams, Query()]
) -> JsonObject:
    """The same list without filters."""
    return list_namespaces(request, key, stores, params)


@router.get("/{namespace_identifier}", responses=answers(shape.Namespace))
def get_namespace(namespace_identifier: str, key: ReadKey, stores: Held) -> JsonObject:
    """The namespace with this id or name."""
    return _find(stores, key, namespace_identifier).to_json()


@router.patch("/{namespace_identifier}", responses=answers(shape.Namespace))
def patch_namespace(
    namespace_identifier: str, body: PatchNamespace, key: WriteKey, stores: Held
) -> JsonObject:
    """Description and metadata change, and quotas for an admin key to every namespace.

    A lower quota ends nothing: what it has no room for waits.
    """
    namespace = _find(stores, key, namespace_identifier)
    changes = body.model_dump(exclude_unset=True)
    if "quotas" in changes:
        limits = changes.pop("quotas")
        if limits is None:
            limits = dict.fromkeys(PatchQuotas.model_fields)
        _change_quotas(stores, key, namespace, limits)
    return stores.namespaces.change(namespace.namespace_id, changes).to_json()


@router.delete(
    "/{namespace_identifier}",
    responses=answers(Removed, {409: "It is the default namespace, or a task of it is open."}),
    dependencies=[refused("force")],
)
def delete_namespace(namespace_identifier: str, key: DeleteKey, stores: Held) -> JsonObject:
    """Deletes the namespace at once, and what is in it by the task that is the answer.

    The task belongs to the default namespace. Where it failed or was killed, a second call with the
    namespace's id goes on.
    """
    try:
        namespace = _find(stores, key, namespace_identifier)
    except NotFoundError:
        task = _removal(stores, key, namespace_identifier)
        again = remove_again(stores.ledger, task) if key.opens(namespace_identifier) else None
        if again is None:
            raise
        return removed(f"The namespace '{namespace_identifier}'", again)
    task = _removal(stores, key, namespace.namespace_id)
    receipt = remove(
        stores.namespaces, stores.migrations, stores.ledger, namespace=namespace, task=task
    )
    stores.directory.forget()
    return removed(f"The namespace '{namespace.namespace_name}'", receipt)


def _removal(stores: Stores, key: ApiKey, namespace_id: str) -> NewTask:
    return NewTask(
        task_type=TASK_TYPE,
        namespace_id=stores.namespaces.ensure_default().namespace_id,
        inputs=[namespace_id],
        actor=f"key:{key.name}",
        additional_data={"namespace_id": namespace_id, "request_id": current_request_id()},
        max_attempts=stores.settings.max_attempts,
    )


def _change_quotas(
    stores: Stores, key: ApiKey, namespace: Namespace, limits: dict[str, int | None]
) -> None:
    if not key.permission.includes(Permission.ADMIN) or key.namespace_ids is not None:
        # A tenant's own admin must not lift what keeps the tenant from crowding the others out.
        raise ForbiddenError("Quotas are changed by an admin key to every namespace")
    stores.namespaces.change_quota(namespace.namespace_id, limits)
    stores.ledger.submission.change_quota(namespace.namespace_id)


def _find(stores: Stores, key: ApiKey, identifier: str) -> Namespace:
    namespace = stores.namespaces.find(identifier)
    if namespace is None or not key.opens(namespace.namespace_id):
        raise NotFoundError(f"There is no namespace '{identifier[:128]}'")
    return namespace
