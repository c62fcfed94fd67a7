"""Taxonomies: POST, GET, list, PATCH, DELETE, and their versions."""

from collections.abc import Sequence
from typing import Annotated, Self

from fastapi import APIRouter, Query, Request
from pydantic import Field, model_validator

from app.api.shape import taxonomy as shape
from app.api.taxonomy_body import TaxonomyConfigBody
from app.api.taxonomy_config import ConfigReader
from app.errors import InvalidError
from app.http.answer import Done, answers
from app.http.body import CREATED, Body, Description, JsonObject, Metadata, Name
from app.http.caller import Caller, Deleter, Reader, Writer
from app.http.example import example
from app.http.idempotency import CREATES, IdempotentRoute
from app.http.listing import ListBody, ListParams, counted, envelope, list_query, listed
from app.query.page import Page
from app.receipts.receipt import rfc3339
from app.resources.extractor import Limits
from app.resources.settlement import status_of
from app.stores import Held, Stores
from app.taxonomies.config import Config
from app.taxonomies.submission import Materializing
from app.taxonomies.taxonomy import MAX_VERSIONS, NewTaxonomy, Taxonomy

router = APIRouter(prefix="/v1/taxonomies", tags=["taxonomies"], route_class=IdempotentRoute)

Version = Annotated[int | None, Query(ge=1, le=1_000_000, description="the newest without it")]


class EitherConfig(TaxonomyConfigBody):
    """A configuration under `config`, or its keys beside the others."""

    config: TaxonomyConfigBody | None = None

    @model_validator(mode="after")
    def _said_once(self) -> Self:
        if self.config is not None and self.says_something:
            raise ValueError("the configuration stands in config or beside it, not in both")
        return self

    @property
    def configuration(self) -> TaxonomyConfigBody:
        """The configuration, wherever it stands."""
        return self if self.config is None else self.config


class CreateTaxonomy(EitherConfig):
    """A taxonomy to be."""

    model_config = example(
        {
            "taxonomy_name": "departments",
            "config": {
                "taxonomy_type": "flat",
                "source_collection": {"collection_id": "texts", "label_field": "fields.name"},
                "top_k": 1,
                "threshold": 0.3,
            },
        }
    )

    taxonomy_name: Name
    description: Description | None = None
    metadata: Metadata | None = None


class NewVersion(EitherConfig):
    """The configuration of the next version."""

    model_config = example({"config": {"source_collection": "texts", "threshold": 0.5}})


class PatchTaxonomy(Body):
    """What changes; a key that is left out stays as it is. A configuration never changes."""

    model_config = example({"description": "Departments of the shop"})

    taxonomy_name: Name | None = None
    description: Description | None = None
    metadata: Metadata = Field(default_factory=dict)


@router.post(
    "",
    status_code=CREATED,
    openapi_extra=CREATES,
    responses=answers(shape.Taxonomy, {409: "The name is taken."}),
)
def create_taxonomy(body: CreateTaxonomy, caller: Writer, stores: Held) -> JsonObject:
    """A new taxonomy, once its collections are there and their documents can be compared."""
    _check_name(body.taxonomy_name)
    new = NewTaxonomy(
        body.taxonomy_name,
        body.description,
        body.metadata or {},
        read_config(body.configuration, caller, stores),
    )
    created = stores.taxonomies.create(caller.namespace_id, new)
    stores.ledger.cache.nudge()
    return created.to_json()


@router.post("/list", responses=answers(shape.TaxonomyPage))
def list_taxonomies(
    request: Request,
    caller: Reader,
    stores: Held,
    params: Annotated[ListParams, Query()],
    body: ListBody | None = None,
) -> JsonObject:
    """A page of the namespace's taxonomies, the newest first."""
    query = list_query(params, body)
    page = stores.taxonomies.list(caller.namespace_id, counted(query))
    return listed(request, query, page.map(Taxonomy.to_json))


@router.get("", responses=answers(shape.TaxonomyPage))
def get_taxonomies(
    request: Request, caller: Reader, stores: Held, params: Annotated[ListParams, Query()]
) -> JsonObject:
    """The same list without filters."""
    return list_taxonomies(request, caller, stores, params)


@router.get("/{taxonomy_identifier}", responses=answers(shape.Taxonomy))
def get_taxonomy(
    taxonomy_identifier: str, caller: Reader, stores: Held, version: Version = None
) -> JsonObject:
    """The taxonomy with this id or name, and where it is materialized."""
    found = find_taxonomy(stores, caller, taxonomy_identifier, version)
    return {**found.to_json(), "materializations": _materializations(stores, found)}


@router.patch(
    "/{taxonomy_identifier}", responses=answers(shape.Taxonomy, {409: "The name is taken."})
)
def patch_taxonomy(
    taxonomy_identifier: str, body: PatchTaxonomy, caller: Writer, stores: Held
) -> JsonObject:
    """Name, description and metadata change; a new configuration is a new version."""
    found = find_taxonomy(stores, caller, taxonomy_identifier)
    changes = body.model_dump(exclude_unset=True)
    if changes.get("taxonomy_name", "") is None:
        raise InvalidError.at("body", "taxonomy_name", message="a taxonomy keeps having a name")
    _check_name(body.taxonomy_name or "")
    changed = stores.taxonomies.change(found, changes)
    stores.ledger.cache.nudge()
    return changed.to_json()


@router.delete(
    "/{taxonomy_identifier}", responses=answers(Done, {409: "A task materializes the taxonomy."})
)
def delete_taxonomy(taxonomy_identifier: str, caller: Deleter, stores: Held) -> JsonObject:
    """Deletes the taxonomy with all versions; what it assigned stays where it is."""
    found = find_taxonomy(stores, caller, taxonomy_identifier)
    stores.materializations.delete_taxonomy(found)
    stores.ledger.cache.nudge()
    return {"success": True, "message": f"The taxonomy '{found.taxonomy_name}' is deleted"}


@router.get("/{taxonomy_identifier}/versions", responses=answers(shape.TaxonomyPage))
def get_versions(
    taxonomy_identifier: str, request: Request, caller: Reader, stores: Held
) -> JsonObject:
    """The taxonomy at each of its versions, the newest first, all on one page."""
    found = stores.taxonomies.versions(taxonomy_identifier, namespace_id=caller.namespace_id)
    page = Page([each.to_json() for each in found], 1, MAX_VERSIONS, None, len(found))
    return {**envelope(request, page), "total_count": len(found)}


@router.post(
    "/{taxonomy_identifier}/versions",
    status_code=CREATED,
    openapi_extra=CREATES,
    responses=answers(shape.Taxonomy, {409: "Another version was added at the same moment."}),
)
def add_version(
    taxonomy_identifier: str, body: NewVersion, caller: Writer, stores: Held
) -> JsonObject:
    """A new version; what was assigned before stays until the taxonomy is materialized again."""
    found = find_taxonomy(stores, caller, taxonomy_identifier)
    config = read_config(body.configuration, caller, stores)
    added = stores.taxonomies.add_version(found, config)
    stores.ledger.cache.nudge()
    return added.to_json()


def find_taxonomy(
    stores: Stores, caller: Caller, identifier: str, version: int | None = None
) -> Taxonomy:
    """The taxonomy, at the version or the newest, or `NotFoundError`."""
    return stores.taxonomies.get(identifier, namespace_id=caller.namespace_id, version=version)


def read_config(body: TaxonomyConfigBody, caller: Caller, stores: Stores) -> Config:
    """The configuration, checked: its collections are there and can be compared."""
    config = ConfigReader(stores.collections, caller.namespace_id).read(body)
    materializing(stores).query(config, namespace_id=caller.namespace_id)
    return config


def materializing(stores: Stores) -> Materializing:
    """What submits materializations with the stores of this app."""
    settings = stores.settings
    limits = Limits(max_image_pixels=settings.max_image_pixels, file_roots=settings.file_roots)
    return Materializing(stores.collections, stores.materializations, stores.ledger, limits)


def _check_name(name: str) -> None:
    if name.startswith("tax_"):
        message = "names that begin with 'tax_' are ids: take another name"
        raise InvalidError.at("body", "taxonomy_name", message=message)


def _materializations(stores: Stores, taxonomy: Taxonomy) -> Sequence[JsonObject]:
    rows = stores.materializations.of_taxonomy(taxonomy)
    task_ids = [row.task_id for row in rows if row.task_id]
    receipts = {each.task_id: each for each in stores.ledger.receipts.find_many(task_ids)}
    return [
        {
            "materialization_id": row.materialization_id,
            "collection_id": row.collection_id,
            "target_collection_id": row.target_collection_id,
            "version": row.version,
            "applied_version": row.applied_version,
            "task_id": row.task_id,
            "status": status_of(row.status, receipts.get(row.task_id or "")).value,
            "updated_at": rfc3339(row.updated_at),
        }
        for row in rows
    ]
