"""Taxonomies at work: a trial on a few documents, and the task that assigns a whole collection."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter
from pydantic import AfterValidator, Field

from app.api import callback
from app.api.shape import taxonomy as shape
from app.api.shape.task import Task
from app.api.taxonomy import Version, find_taxonomy, materializing
from app.api.taxonomy_body import (
    Identifier,
    Mappings,
    Retriever,
    TaxonomyConfigBody,
    Unsupported,
)
from app.api.taxonomy_config import ConfigReader, mappings_of
from app.errors import InvalidError
from app.http.answer import answers
from app.http.body import CREATED, Body, Integer, JsonObject, Metadata, On
from app.http.caller import Caller, Reader, Writer
from app.http.example import example
from app.http.filtering import Filters
from app.http.idempotency import CREATES, IdempotentRoute
from app.http.request_id import current_request_id
from app.json_value import json_flaw
from app.receipts.receipt import Receipt
from app.stores import Held, Stores
from app.taxonomies.assignment import merged_fields
from app.taxonomies.materialization import Wanted
from app.taxonomies.submission import Submitter
from app.taxonomies.taxonomy import Taxonomy
from app.taxonomies.trial import Tried

router = APIRouter(prefix="/v1", tags=["taxonomies"], route_class=IdempotentRoute)

MAX_TRIED: Final = 5
MAX_CHUNK: Final = 5_000  # documents; each chunk reads the nodes, so the largest is the default

OPEN_CLASH: Final = "A task that is open materializes it there with another version or filters."


class SaidTaxonomy(Body):
    """The taxonomy that the public client repeats in its body; it has to be the one of the path."""

    config: TaxonomyConfigBody | None = None
    retriever_id: Retriever = None
    input_mappings: Mappings | None = None
    taxonomy_id: Identifier | None = None
    taxonomy_name: Identifier | None = None
    version: Integer | None = Field(None, ge=1)
    description: str | None = None
    metadata: Metadata | None = None
    ready: On | None = None
    nodes: Unsupported = None
    created_at: str | None = None


def _storable(items: list[str | JsonObject]) -> list[str | JsonObject]:
    for item in items:
        if (flaw := json_flaw(item)) is not None:
            raise ValueError(f"the document {flaw}")
    return items


Items = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=128)] | JsonObject],
    Field(min_length=1, max_length=MAX_TRIED),
    AfterValidator(_storable),
]


class ExecuteTaxonomy(Body):
    """1 to 5 documents: ids of stored ones, or plain JSON."""

    model_config = example({"source_documents": [{"body": "a pan with a lid"}]})

    source_documents: Items | None = None
    documents: Items | None = None
    document_ids: (
        Annotated[list[Annotated[str, Field(max_length=128)]], Field(max_length=MAX_TRIED)] | None
    ) = None
    source_collection_id: Identifier | None = None
    collection_id: Identifier | None = None
    version: Integer | None = Field(None, ge=1)
    taxonomy: SaidTaxonomy | None = None
    join_mode: Literal["on_demand"] | None = None
    batch_size: Integer | None = Field(None, ge=1, le=10_000)  # the public client always sends it
    retriever: Unsupported = None
    target_collection_id: Unsupported = None
    scroll_filters: Unsupported = None


class MaterializeTaxonomy(Body):
    """The collection to assign, and where the assignments go: onto its documents, or to copies in a
    target collection. A child task takes `batch_size` documents.
    """

    model_config = example({"collection_id": "texts"})

    collection_id: Identifier
    target_collection_id: Identifier | None = None
    filters: Filters | None = None
    version: Integer | None = Field(None, ge=1)
    batch_size: Integer = Field(MAX_CHUNK, ge=1, le=MAX_CHUNK)
    webhook_url: callback.CallbackUrl | None = None


class ApplyTaxonomy(Body):
    """The same in the public client's words. Every free worker takes part, whatever
    `parallelism` says; `batch_size` documents go to one child task.
    """

    model_config = example({"taxonomy_id": "departments"})

    taxonomy_id: Identifier
    target_collection_id: Identifier | None = None
    scroll_filters: Filters | None = None
    version: Integer | None = Field(None, ge=1)
    batch_size: Integer = Field(MAX_CHUNK, ge=1, le=MAX_CHUNK)
    webhook_url: callback.CallbackUrl | None = None
    parallelism: Integer = Field(4, ge=1, le=20)
    budget_limits: Unsupported = None


@router.post("/taxonomies/{taxonomy_identifier}/execute", responses=answers(shape.Trial))
def execute_taxonomy(
    taxonomy_identifier: str,
    body: ExecuteTaxonomy,
    caller: Reader,
    stores: Held,
    version: Version = None,
) -> JsonObject:
    """What 1 to 5 documents would be assigned; nothing is stored."""
    found = find_taxonomy(stores, caller, taxonomy_identifier, version or body.version)
    if body.taxonomy is not None:
        _check_said(body.taxonomy, found, caller, stores)
    within = body.collection_id or body.source_collection_id
    collection_id = None
    if within is not None:
        collection = stores.collections.get(within, namespace_id=caller.namespace_id)
        collection_id = collection.collection_id
    query = materializing(stores).query(found.config, namespace_id=caller.namespace_id)
    tried = stores.trials.run(found, query, _items(body), collection_id=collection_id)
    return _trial_json(found, tried)


@router.post("/taxonomies/execute/{taxonomy_identifier}", responses=answers(shape.Trial))
def execute_taxonomy_by_kind(
    taxonomy_identifier: str,
    body: ExecuteTaxonomy,
    caller: Reader,
    stores: Held,
    version: Version = None,
) -> JsonObject:
    """The same under the public client's other path."""
    return execute_taxonomy(taxonomy_identifier, body, caller, stores, version)


@router.post(
    "/taxonomies/{taxonomy_identifier}/materialize",
    status_code=CREATED,
    openapi_extra=CREATES,
    responses=answers(Task, {409: OPEN_CLASH}),
)
def materialize_taxonomy(
    taxonomy_identifier: str, body: MaterializeTaxonomy, caller: Writer, stores: Held
) -> JsonObject:
    """The task that assigns the taxonomy's nodes to every document of the collection.

    What an earlier task of the taxonomy assigned there is replaced. While one is open, a second
    call gives the same task.
    """
    url = callback.checked(body.webhook_url, stores.settings, "body")
    taxonomy = find_taxonomy(stores, caller, taxonomy_identifier, body.version)
    wanted = Wanted(
        taxonomy, body.collection_id, body.target_collection_id, body.filters, body.batch_size
    )
    return _submit(stores, caller, wanted, url).to_json()


@router.post(
    "/collections/{collection_identifier}/apply-taxonomy",
    status_code=CREATED,
    openapi_extra=CREATES,
    responses=answers(shape.AppliedTaxonomy, {409: OPEN_CLASH}),
)
def apply_taxonomy(
    collection_identifier: str, body: ApplyTaxonomy, caller: Writer, stores: Held
) -> JsonObject:
    """The same, asked of the collection."""
    url = callback.checked(body.webhook_url, stores.settings, "body")
    collection = stores.collections.get(collection_identifier, namespace_id=caller.namespace_id)
    taxonomy = find_taxonomy(stores, caller, body.taxonomy_id, body.version)
    wanted = Wanted(
        taxonomy,
        collection.collection_id,
        body.target_collection_id,
        body.scroll_filters,
        body.batch_size,
    )
    receipt = _submit(stores, caller, wanted, url)
    return {
        "task_id": receipt.task_id,
        "status": receipt.status.value,
        "collection_id": collection.collection_id,
        "taxonomy_id": taxonomy.taxonomy_id,
        "estimated_documents": stores.documents.count(collection, body.scroll_filters),
    }


def _submit(stores: Stores, caller: Caller, wanted: Wanted, url: str | None) -> Receipt:
    attempts = stores.settings.max_attempts
    submitter = Submitter(caller.actor, attempts, current_request_id(), callback_url=url)
    return materializing(stores).submit(wanted, submitter)


def _items(body: ExecuteTaxonomy) -> list[str | JsonObject]:
    """The documents, under whichever name they came."""
    sent = [each for each in (body.source_documents, body.documents, body.document_ids) if each]
    if len(sent) != 1:
        message = "send 1 to 5 documents: as source_documents, documents or document_ids"
        raise InvalidError.at("body", "source_documents", message=message)
    return list(sent[0])


def _check_said(said: SaidTaxonomy, found: Taxonomy, caller: Caller, stores: Stores) -> None:
    """`InvalidError` where the body speaks of another taxonomy than the path does."""
    is_it = said.taxonomy_id in (None, found.taxonomy_id) and said.taxonomy_name in (
        None,
        found.taxonomy_name,
    )
    if not is_it:
        message = "this is another taxonomy than the path names: leave it out"
        raise InvalidError.at("body", "taxonomy", message=message)
    config, reader = found.config, ConfigReader(stores.collections, caller.namespace_id)
    is_same = (
        (said.config is None or reader.read(said.config) == config)
        and said.retriever_id in (None, config.said["retriever_id"])
        and (
            said.input_mappings is None or mappings_of(said.input_mappings) == config.input_mappings
        )
    )
    if not is_same:
        message = (
            f"this is not the configuration of version {found.version}: store it as a version, "
            "or leave it out"
        )
        raise InvalidError.at("body", "taxonomy", "config", message=message)


def _trial_json(taxonomy: Taxonomy, tried: list[Tried]) -> JsonObject:
    return {
        "taxonomy_id": taxonomy.taxonomy_id,
        "version": taxonomy.version,
        "stats": {
            "processed_docs": len(tried),
            "batches": 1,
            "errors": 0,
            "enriched": sum(bool(each.assignments) for each in tried),
        },
        "results": [
            {
                "document_id": each.document_id,
                "assignments": [one.to_document() for one in each.assignments],
                "fields": merged_fields(each.assignments),
            }
            for each in tried
        ],
        "matches": [
            {
                "document_id": each.document_id,
                "taxonomy_id": taxonomy.taxonomy_id,
                "taxonomy_name": taxonomy.taxonomy_name,
                "node_id": one.last.node.node_id,
                "label": one.last.node.label,
                "score": one.last.score,
                "path": [step.node.label for step in one.path],
                "hierarchy_level": len(one.path) - 1,
                "enriched_fields": sorted(one.fields),
            }
            for each in tried
            for one in each.assignments
        ],
    }
