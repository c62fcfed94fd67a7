"""Objects of a bucket: POST one or many, GET, list, DELETE."""

from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.api.shape import stored_object as shape
from app.database import Document
from app.errors import CallerError, InvalidError, Problem
from app.fetch.reader import ContentReader
from app.http.answer import Done, answers
from app.http.body import CREATED, Body, JsonObject, LooksLike, Metadata, Off, On
from app.http.caller import Caller, Deleter, Reader, Writer
from app.http.example import example
from app.http.idempotency import CREATES, IdempotentRoute
from app.http.listing import ListBody, ListParams, envelope, list_query
from app.http.partial import partial_answer
from app.http.problem import problem_of
from app.http.public_client import VARY, is_public_client
from app.http.switch import refused
from app.resources.bucket import Bucket
from app.resources.ingestion import Ingestion, NewObject
from app.resources.stored_object import taken, to_json, without_content
from app.stores import Held, Stores

router = APIRouter(
    prefix="/v1/buckets/{bucket_identifier}/objects",
    tags=["objects"],
    route_class=IdempotentRoute,
)

MAX_OBJECTS: Final = 1_000  # of one batch call
MANY_CREATED: Final = 201
OBJECT_EXAMPLE: Final[JsonObject] = {
    "blobs": [{"property": "body", "type": "text", "data": "Blue shoe"}],
    "price": 3.5,
}


class Blob(Body):
    """Content of one property: `data` as it is, or the `url` where it lies."""

    property: str
    type: str
    data: object = None
    url: str | None = Field(default=None, max_length=4_000)
    metadata: Metadata | None = None


class CreateObject(BaseModel):
    """An object to be; every other key is a property of the bucket's schema."""

    model_config = ConfigDict(extra="allow", frozen=True, **example(OBJECT_EXAMPLE))

    key_prefix: str | None = Field(default=None, max_length=1_024)
    blobs: list[Blob] | None = None
    metadata: Metadata = Field(default_factory=dict)
    # The public client always sends these; other values ask for what is not done here.
    skip_duplicates: Off = False
    canonicalize_source: On = True
    force_remirror: Off = False


class CreateObjects(Body):
    """Objects to be, each of them for itself."""

    model_config = example({"objects": [OBJECT_EXAMPLE]})

    objects: list[Annotated[JsonObject, LooksLike(CreateObject)]] = Field(
        min_length=1, max_length=MAX_OBJECTS
    )


class ListObjects(ListBody):
    """What a list of objects takes; the public client always sends the last."""

    model_config = example({"filters": {"field": "price", "operator": "lt", "value": 10}})

    return_presigned_urls: Off = False


@router.post(
    "",
    status_code=CREATED,
    openapi_extra=CREATES,
    responses=answers(shape.StoredObject, {409: "An object has the same unique key."}),
    dependencies=[refused("auto_process", "policy")],
)
def create_object(
    bucket_identifier: str, body: CreateObject, caller: Writer, stores: Held
) -> JsonObject:
    """A new object, once it agrees with the bucket's schema."""
    bucket = stores.buckets.get(bucket_identifier, namespace_id=caller.namespace_id)
    try:
        stored = _ingestion(stores, bucket).prepare(_new(body), datetime.now(UTC))
    except InvalidError as exc:
        raise InvalidError([_within(("body",), each) for each in exc.problems]) from exc
    inserted = stores.objects.insert(bucket, stored)
    stores.ledger.cache.nudge()
    return to_json(without_content(inserted))


def _readable(request: Request, response: Response) -> None:
    """The public client reads this answer under 200 only."""
    response.headers.update(VARY)
    if is_public_client(request):
        response.status_code = CREATED


@router.post(
    "/batch",
    status_code=MANY_CREATED,
    openapi_extra=CREATES,
    responses=answers(shape.PartialObjects, status=MANY_CREATED),
    dependencies=[refused("auto_process"), Depends(_readable)],
)
def create_objects(
    bucket_identifier: str, body: CreateObjects, caller: Writer, stores: Held
) -> JsonObject:
    """Stores those that are in order; each other one is told what is wrong with it."""
    bucket = stores.buckets.get(bucket_identifier, namespace_id=caller.namespace_id)
    ingestion, now = _ingestion(stores, bucket), datetime.now(UTC)
    prepared: dict[int, Document] = {}
    errors: dict[int, CallerError] = {}
    for index, raw in enumerate(body.objects):
        try:
            prepared[index] = ingestion.prepare(_new(_validated(raw)), now, place=str(index))
        except InvalidError as exc:
            errors[index] = InvalidError(
                [_within(("body", "objects", index), each) for each in exc.problems]
            )
    positions = list(prepared)
    for position in stores.objects.insert_many(list(prepared.values())):
        index = positions[position]
        errors[index] = taken(bucket)
        del prepared[index]
    stores.ledger.cache.nudge()
    return partial_answer(
        [
            {**to_json(without_content(stored)), "object_index": index}
            for index, stored in prepared.items()
        ],
        errors,
    )


@router.post("/list", responses=answers(shape.ObjectPage))
def list_objects(
    bucket_identifier: str,
    request: Request,
    caller: Reader,
    stores: Held,
    params: Annotated[ListParams, Query()],
    body: ListObjects | None = None,
) -> JsonObject:
    """A page of the bucket's objects without the contents of their blobs, the newest first."""
    bucket = stores.buckets.get(bucket_identifier, namespace_id=caller.namespace_id)
    page = stores.objects.list(bucket, list_query(params, body))
    return envelope(request, page.map(to_json))


@router.get("", responses=answers(shape.ObjectPage))
def get_objects(
    bucket_identifier: str,
    request: Request,
    caller: Reader,
    stores: Held,
    params: Annotated[ListParams, Query()],
) -> JsonObject:
    """The same list without filters."""
    return list_objects(bucket_identifier, request, caller, stores, params)


@router.get("/{object_id}", responses=answers(shape.StoredObject))
def get_object(bucket_identifier: str, object_id: str, caller: Reader, stores: Held) -> JsonObject:
    """The object with the contents of its blobs, images in base64."""
    return to_json(stores.objects.get(_bucket(stores, caller, bucket_identifier), object_id))


@router.delete("/{object_id}", responses=answers(Done))
def delete_object(
    bucket_identifier: str, object_id: str, caller: Deleter, stores: Held
) -> JsonObject:
    """Deletes the object; documents that were made of it stay."""
    stores.objects.delete(_bucket(stores, caller, bucket_identifier), object_id)
    stores.ledger.cache.nudge()
    return {"success": True, "message": f"The object '{object_id}' is deleted"}


def _bucket(stores: Stores, caller: Caller, identifier: str) -> Bucket:
    return stores.buckets.get(identifier, namespace_id=caller.namespace_id)


def _ingestion(stores: Stores, bucket: Bucket) -> Ingestion:
    settings = stores.settings
    return Ingestion(bucket, ContentReader.of(settings), settings.max_blob_bytes)


def _validated(raw: JsonObject) -> CreateObject:
    try:
        return CreateObject.model_validate(raw)
    except ValidationError as exc:
        problems = [problem_of({**error, "loc": ("", *error["loc"])}) for error in exc.errors()]
        raise InvalidError([Problem(p.location[1:], p.message, p.kind) for p in problems]) from exc


def _new(body: CreateObject) -> NewObject:
    return NewObject(
        key_prefix=body.key_prefix,
        blobs=[blob.model_dump(exclude_none=True) for blob in body.blobs or ()],
        metadata=body.metadata,
        fields=body.model_extra or {},
    )


def _within(place: tuple[str | int, ...], problem: Problem) -> Problem:
    return Problem((*place, *problem.location), problem.message, problem.kind)
