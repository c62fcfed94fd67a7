"""Documents of a collection: GET, list, count, aggregate."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app.api.shape import document as shape
from app.http.answer import answers
from app.http.body import Body, Flag, Integer, JsonObject, Off
from app.http.cached import HEADER, cached
from app.http.caller import Caller, Reader
from app.http.example import example
from app.http.filtering import Filters
from app.http.listing import ListBody, ListParams, envelope, list_query
from app.query.cursor import Direction
from app.resources.aggregation import MAX_GROUPS, MAX_PARTS, Aggregation, Function, Key, Metric
from app.resources.collection import Collection
from app.resources.document import to_json
from app.stores import Held, Stores

router = APIRouter(prefix="/v1/collections/{collection_identifier}/documents", tags=["documents"])

DEFAULT_GROUPS: Final = 100
CACHED: Final = (HEADER,)

Alias = Annotated[str, Field(min_length=1, max_length=128)]


class DocumentParams(ListParams):
    """Query parameters of a list of documents; both names of the one switch work."""

    include_vectors: bool = False
    return_vectors: bool = False


class ListDocuments(ListBody):
    """What a list of documents takes."""

    model_config = example({"filters": {"fields.price": 3.5}})

    return_vectors: Flag = False
    return_presigned_urls: Off = False  # the public client always sends it


class CountDocuments(Body):
    """Which documents to count; all of them without filters."""

    model_config = example({"filters": {"field": "fields.price", "operator": "lt", "value": 10}})

    filters: Filters | None = None


class GroupBy(Body):
    """A field to group by."""

    field: str
    alias: Alias | None = None


class MetricBody(Body):
    """One number of each group; `alias` names it in the answer."""

    function: Function
    field: str | None = None
    alias: Alias | None = None


class AggregateDocuments(Body):
    """`group_by` is a field or a list of fields; without it all documents are one group."""

    model_config = example(
        {
            "group_by": ["fields.colour"],
            "aggregations": [
                {"function": "count"},
                {"function": "avg", "field": "fields.price", "alias": "avg_price"},
            ],
            "sort_by": "avg_price",
        }
    )

    group_by: str | list[str | GroupBy] = Field(default_factory=list, max_length=MAX_PARTS)
    aggregations: list[MetricBody] = Field(min_length=1, max_length=MAX_PARTS)
    filters: Filters | None = None
    sort_by: str | None = None
    sort_direction: Direction = Direction.DESC
    limit: Integer = Field(default=DEFAULT_GROUPS, ge=1, le=MAX_GROUPS)


@router.post("/list", responses=answers(shape.DocumentPage, headers=CACHED))
def list_documents(
    collection_identifier: str,
    request: Request,
    caller: Reader,
    stores: Held,
    params: Annotated[DocumentParams, Query()],
    body: ListDocuments | None = None,
) -> Response:
    """A page of the collection's documents, the newest first; vectors only when asked for."""
    collection = _collection(stores, caller, collection_identifier)
    vectors = params.include_vectors or params.return_vectors
    vectors = vectors or (body is not None and body.return_vectors)
    query = list_query(params, body)

    def page() -> JsonObject:
        found = stores.documents.list(collection, query, vectors=vectors)
        return envelope(request, found.map(to_json))

    return cached(request, stores, collection, body, page)


@router.get("", responses=answers(shape.DocumentPage, headers=CACHED))
def get_documents(
    collection_identifier: str,
    request: Request,
    caller: Reader,
    stores: Held,
    params: Annotated[DocumentParams, Query()],
) -> Response:
    """The same list without filters."""
    return list_documents(collection_identifier, request, caller, stores, params)


@router.post("/count", responses=answers(shape.DocumentCount, headers=CACHED))
def count_documents(
    collection_identifier: str,
    request: Request,
    caller: Reader,
    stores: Held,
    body: CountDocuments | None = None,
) -> Response:
    """How many documents the filters select."""
    collection = _collection(stores, caller, collection_identifier)

    def counted() -> JsonObject:
        count = stores.documents.count(collection, body.filters if body else None)
        return {"collection_id": collection.collection_id, "count": count}

    return cached(request, stores, collection, body, counted)


@router.get("/count", responses=answers(shape.DocumentCount, headers=CACHED))
def get_document_count(
    collection_identifier: str, request: Request, caller: Reader, stores: Held
) -> Response:
    """How many documents there are."""
    return count_documents(collection_identifier, request, caller, stores)


@router.post("/aggregate", responses=answers(shape.DocumentGroups, headers=CACHED))
def aggregate_documents(
    collection_identifier: str,
    request: Request,
    body: AggregateDocuments,
    caller: Reader,
    stores: Held,
) -> Response:
    """Counts, sums, averages, least and greatest values of groups of documents."""
    collection = _collection(stores, caller, collection_identifier)
    aggregation = _aggregation(body)

    def computed() -> JsonObject:
        groups, total = stores.documents.aggregate(collection, aggregation, body.filters)
        return {"results": [group.to_json() for group in groups], "total_groups": total}

    return cached(request, stores, collection, body, computed)


@router.get("/{document_id}", responses=answers(shape.Document))
def get_document(
    collection_identifier: str,
    document_id: str,
    caller: Reader,
    stores: Held,
    include_vectors: bool = False,
    return_vectors: bool = False,
) -> JsonObject:
    """The document; its vectors only when asked for."""
    collection = _collection(stores, caller, collection_identifier)
    vectors = include_vectors or return_vectors
    return to_json(stores.documents.get(collection, document_id, vectors=vectors))


def _collection(stores: Stores, caller: Caller, identifier: str) -> Collection:
    return stores.collections.get(identifier, namespace_id=caller.namespace_id)


def _aggregation(body: AggregateDocuments) -> Aggregation:
    asked = [body.group_by] if isinstance(body.group_by, str) else body.group_by
    fields = [GroupBy(field=each) if isinstance(each, str) else each for each in asked]
    return Aggregation(
        keys=[Key(each.field, each.alias or each.field) for each in fields],
        metrics=[
            Metric(each.function, each.field, each.alias or _default_alias(each))
            for each in body.aggregations
        ],
        sort_by=body.sort_by,
        direction=body.sort_direction,
        limit=body.limit,
    )


def _default_alias(metric: MetricBody) -> str:
    return metric.function if metric.field is None else f"{metric.function}_{metric.field}"
