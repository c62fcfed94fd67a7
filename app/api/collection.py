"""Collections: POST, GET, list, PATCH, DELETE."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query, Request
from pydantic import Field, model_validator

from app.api.application import (
    ClusterApplications,
    TaxonomyApplications,
    checked,
)
from app.api.shape import collection as shape
from app.errors import InvalidError, NotFoundError, Problem
from app.http.answer import Done, answers
from app.http.body import CREATED, Body, Description, Flag, JsonObject, Metadata, Name, Off, On
from app.http.caller import Deleter, Reader, Writer
from app.http.example import example
from app.http.idempotency import CREATES, IdempotentRoute
from app.http.listing import ListBody, ListParams, counted, list_query, listed
from app.resources.bucket import Bucket
from app.resources.collection import (
    Collection,
    FeatureExtractor,
    NewCollection,
    stored_applications,
)
from app.resources.extractor import EXTRACTORS, Limits, input_sources
from app.resources.property import shown
from app.stores import Held, Stores

router = APIRouter(prefix="/v1/collections", tags=["collections"], route_class=IdempotentRoute)


class Source(Body):
    """The buckets whose objects the collection reads."""

    type: Literal["bucket"]
    bucket_ids: list[str] = Field(min_length=1, max_length=100)
    field_map: JsonObject = Field(default_factory=dict, max_length=0)  # the public client's


class Extractor(Body):
    """Which extractor, how it is set, and the property that each of its inputs reads.

    `params` is another name of `parameters`: the public client's own model of the latter knows
    no extractor of ours.
    """

    feature_extractor_name: Name
    version: Literal["v1"] = "v1"
    parameters: JsonObject = Field(default_factory=dict)
    params: JsonObject | None = None
    input_mappings: JsonObject = Field(default_factory=dict)
    # The public client always sends it; documents here always have their object's fields.
    include_all_source_fields: Flag = False

    @model_validator(mode="after")
    def _said_once(self) -> Self:
        if self.parameters and self.params is not None:
            raise ValueError("params and parameters mean the same: send one of them")
        return self

    @property
    def setting(self) -> JsonObject:
        """The parameters, under whichever name they came."""
        return self.parameters if self.params is None else self.params


class CreateCollection(Body):
    """A collection to be."""

    model_config = example(
        {
            "collection_name": "texts",
            "source": {"type": "bucket", "bucket_ids": ["goods"]},
            "feature_extractor": {
                "feature_extractor_name": "text",
                "input_mappings": {"text": "body"},
            },
        }
    )

    collection_name: Name
    description: Description | None = None
    source: Source
    feature_extractor: Extractor
    metadata: Metadata = Field(default_factory=dict)
    taxonomy_applications: TaxonomyApplications = Field(default_factory=list)
    cluster_applications: ClusterApplications = Field(default_factory=list)
    enabled: On = True  # the public client always sends it


class PatchCollection(Body):
    """What changes; a key that is left out stays as it is."""

    model_config = example({"description": "Texts of the goods"})

    description: Description | None = None
    metadata: Metadata = Field(default_factory=dict)
    taxonomy_applications: TaxonomyApplications = Field(default_factory=list)
    cluster_applications: ClusterApplications = Field(default_factory=list)


class ListCollections(ListBody):
    """What a list of collections takes; the public client always sends the last."""

    model_config = example({"filters": {"feature_extractor_name": "text"}})

    include_system: Off = False


@router.post(
    "",
    status_code=CREATED,
    openapi_extra=CREATES,
    responses=answers(shape.Collection, {409: "The name is taken."}),
)
def create_collection(body: CreateCollection, caller: Writer, stores: Held) -> JsonObject:
    """A new collection, once its buckets, its extractor and what it reads are there."""
    if body.collection_name.startswith("col_"):
        message = "names that begin with 'col_' are ids: take another name"
        raise InvalidError.at("body", "collection_name", message=message)
    buckets = _buckets(stores, caller.namespace_id, body.source.bucket_ids)
    _check_extractor(stores, body.feature_extractor, buckets)
    asked = body.feature_extractor
    new = NewCollection(
        collection_name=body.collection_name,
        description=body.description,
        bucket_ids=[bucket.bucket_id for bucket in buckets],
        feature_extractor=FeatureExtractor(
            asked.feature_extractor_name, asked.version, asked.setting, asked.input_mappings
        ),
        metadata=body.metadata,
        applications=checked(
            stores,
            caller.namespace_id,
            body.taxonomy_applications,
            body.cluster_applications,
        ),
    )
    created = stores.collections.create(caller.namespace_id, new)
    stores.ledger.cache.nudge()
    return _described(stores, created)


@router.post("/list", responses=answers(shape.CollectionPage))
def list_collections(
    request: Request,
    caller: Reader,
    stores: Held,
    params: Annotated[ListParams, Query()],
    body: ListCollections | None = None,
) -> JsonObject:
    """A page of the namespace's collections, the newest first."""
    query = list_query(params, body)
    page = stores.collections.list(caller.namespace_id, counted(query))
    described = _all_described(stores, page.results)
    return listed(request, query, page.map(lambda one: described[one.collection_id]))


@router.get("", responses=answers(shape.CollectionPage))
def get_collections(
    request: Request, caller: Reader, stores: Held, params: Annotated[ListParams, Query()]
) -> JsonObject:
    """The same list without filters."""
    return list_collections(request, caller, stores, params)


@router.get("/{collection_identifier}", responses=answers(shape.Collection))
def get_collection(collection_identifier: str, caller: Reader, stores: Held) -> JsonObject:
    """The collection with this id or name."""
    found = stores.collections.get(collection_identifier, namespace_id=caller.namespace_id)
    return _described(stores, found)


@router.patch("/{collection_identifier}", responses=answers(shape.Collection))
def patch_collection(
    collection_identifier: str, body: PatchCollection, caller: Writer, stores: Held
) -> JsonObject:
    """Description, metadata and what runs after batches change; nothing else does."""
    found = stores.collections.get(collection_identifier, namespace_id=caller.namespace_id)
    changes = body.model_dump(exclude_unset=True)
    applications = checked(
        stores,
        caller.namespace_id,
        body.taxonomy_applications,
        body.cluster_applications,
        collection_id=found.collection_id,
    )
    stored = stored_applications(applications)
    changes |= {name: value for name, value in stored.items() if name in changes}
    changed = stores.collections.change(found, changes)
    stores.ledger.cache.nudge()
    return _described(stores, changed)


@router.delete(
    "/{collection_identifier}",
    responses=answers(Done, {409: "The collection still holds documents."}),
)
def delete_collection(collection_identifier: str, caller: Deleter, stores: Held) -> JsonObject:
    """Deletes a collection that holds no documents."""
    found = stores.collections.get(collection_identifier, namespace_id=caller.namespace_id)
    stores.collections.delete_empty(found)
    stores.ledger.cache.nudge()
    return {"success": True, "message": f"The collection '{found.collection_name}' is deleted"}


def _described(stores: Stores, collection: Collection) -> JsonObject:
    return _all_described(stores, [collection])[collection.collection_id]


def _all_described(stores: Stores, collections: Sequence[Collection]) -> dict[str, JsonObject]:
    """Many collections by id: two queries for all of them."""
    ids = [each.collection_id for each in collections]
    counts, follow_ups = stores.documents.counts(ids), stores.follow_ups.by_collection(ids)
    return {
        each.collection_id: {
            **each.to_json(counts.get(each.collection_id, 0)),
            "follow_ups": follow_ups.get(each.collection_id, []),
        }
        for each in collections
    }


def _buckets(stores: Stores, namespace_id: str, identifiers: list[str]) -> list[Bucket]:
    """The buckets, each once; `InvalidError` naming those that the namespace does not have."""
    found: dict[str, Bucket] = {}
    problems = []
    for index, identifier in enumerate(identifiers):
        try:
            bucket = stores.buckets.get(identifier, namespace_id=namespace_id)
            found[bucket.bucket_id] = bucket
        except NotFoundError as exc:
            problems.append(Problem(("body", "source", "bucket_ids", index), str(exc)))
    if problems:
        raise InvalidError(problems)
    return list(found.values())


def _check_extractor(stores: Stores, asked: Extractor, buckets: list[Bucket]) -> None:
    """`InvalidError` unless it exists, its parameters suit it, and its inputs have properties."""
    settings = stores.settings
    limits = Limits(max_image_pixels=settings.max_image_pixels, file_roots=settings.file_roots)
    try:
        extractor = EXTRACTORS.check(
            asked.feature_extractor_name, asked.setting, asked.input_mappings, limits
        )
        sources = input_sources(extractor.inputs, asked.input_mappings)
    except InvalidError as exc:
        raise InvalidError(
            [Problem(("body", *each.location), each.message, each.kind) for each in exc.problems]
        ) from exc
    problems = [
        Problem(
            ("body", "feature_extractor", "input_mappings", name),
            f"input '{shown(name)}' reads property '{shown(source)}', which the bucket "
            f"'{bucket.bucket_name}' does not have: it has "
            f"{', '.join(map(shown, bucket.schema.properties))}",
        )
        for name, source in sources.items()
        for bucket in buckets
        if bucket.schema.properties and source not in bucket.schema.properties
    ]
    if problems:
        raise InvalidError(problems)
