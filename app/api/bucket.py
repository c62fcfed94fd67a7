"""Buckets: POST, GET, list, PATCH, DELETE."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field

from app.api.removal import removed
from app.api.shape import bucket as shape
from app.api.shape.removal import Removed
from app.errors import InvalidError, NotFoundError
from app.http.answer import answers
from app.http.body import CREATED, Body, Description, JsonObject, LooksLike, Metadata, Name
from app.http.caller import Caller, Deleter, Reader, Writer
from app.http.example import example
from app.http.idempotency import CREATES, IdempotentRoute
from app.http.listing import ListBody, ListParams, counted, list_query, listed
from app.http.request_id import current_request_id
from app.http.switch import refused
from app.receipts.receipt import NewTask
from app.removal.again import remove_again
from app.removal.bucket import TASK_TYPE
from app.removal.bucket import delete_bucket as remove
from app.resources.bucket import Bucket, NewBucket
from app.resources.bucket_rule import grown, unique_key_problems
from app.resources.property import PropertyType
from app.resources.schema import BucketSchema
from app.resources.stored_object import Usage
from app.stores import Held, Stores

router = APIRouter(prefix="/v1/buckets", tags=["buckets"], route_class=IdempotentRoute)


class PropertyBody(Body):
    """One property of a schema."""

    type: PropertyType
    required: bool | None = None
    description: str | None = None


class SchemaBody(Body):
    """What objects look like; without properties they look as they like."""

    model_config = example(shape.SCHEMA_EXAMPLE)

    properties: dict[str, PropertyBody]


Schema = Annotated[JsonObject, LooksLike(SchemaBody)]


class UniqueKey(Body):
    """Properties whose values together are unique in the bucket."""

    fields: list[Name] = Field(min_length=1, max_length=8)
    default_policy: Literal["insert"] | None = None


class CreateBucket(Body):
    """A bucket to be. `unique_key` is a property's name, or `{"fields": [names]}`."""

    model_config = example({"bucket_name": "goods", "bucket_schema": shape.SCHEMA_EXAMPLE})

    bucket_name: Name
    description: Description | None = None
    bucket_schema: Schema
    unique_key: Name | UniqueKey | None = None
    metadata: Metadata = Field(default_factory=dict)


class PatchBucket(Body):
    """What changes; a schema may only gain properties that are not required."""

    model_config = example({"description": "What the shop sells"})

    description: Description | None = None
    bucket_schema: Schema = Field(default_factory=dict)
    metadata: Metadata = Field(default_factory=dict)


@router.post(
    "",
    status_code=CREATED,
    openapi_extra=CREATES,
    responses=answers(shape.Bucket, {409: "The name is taken."}),
)
def create_bucket(body: CreateBucket, caller: Writer, stores: Held) -> JsonObject:
    """A new bucket; its name is taken in the namespace from then on."""
    if body.bucket_name.startswith("bkt_"):
        message = "names that begin with 'bkt_' are ids: take another name"
        raise InvalidError.at("body", "bucket_name", message=message)
    schema = _schema(body.bucket_schema)
    unique_key = (
        body.unique_key.model_dump(exclude_none=True)
        if isinstance(body.unique_key, UniqueKey)
        else body.unique_key
    )
    if problems := unique_key_problems(schema, unique_key):
        raise InvalidError(problems)
    new = NewBucket(body.bucket_name, body.description, schema, unique_key, body.metadata)
    return _json(stores.buckets.create(caller.namespace_id, new), Usage())


@router.post("/list", responses=answers(shape.BucketPage))
def list_buckets(
    request: Request,
    caller: Reader,
    stores: Held,
    params: Annotated[ListParams, Query()],
    body: ListBody | None = None,
) -> JsonObject:
    """A page of the namespace's buckets, the newest first."""
    query = list_query(params, body)
    page = stores.buckets.list(caller.namespace_id, counted(query))
    usage = stores.objects.usage(bucket.bucket_id for bucket in page.results)
    described = page.map(lambda bucket: _json(bucket, usage.get(bucket.bucket_id, Usage())))
    return listed(request, query, described)


@router.get("", responses=answers(shape.BucketPage))
def get_buckets(
    request: Request, caller: Reader, stores: Held, params: Annotated[ListParams, Query()]
) -> JsonObject:
    """The same list without filters."""
    return list_buckets(request, caller, stores, params)


@router.get("/{bucket_identifier}", responses=answers(shape.Bucket))
def get_bucket(bucket_identifier: str, caller: Reader, stores: Held) -> JsonObject:
    """The bucket with this id or name."""
    return _described(
        stores, stores.buckets.get(bucket_identifier, namespace_id=caller.namespace_id)
    )


@router.patch(
    "/{bucket_identifier}",
    responses=answers(shape.Bucket),
    dependencies=[refused("force_schema_break")],
)
def patch_bucket(
    bucket_identifier: str, body: PatchBucket, caller: Writer, stores: Held
) -> JsonObject:
    """Description and metadata change, and the schema grows; nothing else does."""
    bucket = stores.buckets.get(bucket_identifier, namespace_id=caller.namespace_id)
    changes = body.model_dump(exclude_unset=True)
    if "bucket_schema" in changes:
        wanted = grown(bucket.schema, _schema(body.bucket_schema))
        changes["bucket_schema"] = wanted.to_json()
    return _described(stores, stores.buckets.change(bucket, changes))


@router.delete(
    "/{bucket_identifier}",
    responses=answers(Removed, {409: "One of its batches has not ended."}),
    dependencies=[refused("force_foreclose")],
)
def delete_bucket(bucket_identifier: str, caller: Deleter, stores: Held) -> JsonObject:
    """Deletes the bucket at once, and its objects and batches by the task that is the answer.

    Documents that were made of the objects stay in their collections. Where that task failed or
    was killed, a second call with the bucket's id goes on.
    """
    try:
        bucket = stores.buckets.get(bucket_identifier, namespace_id=caller.namespace_id)
    except NotFoundError:
        again = remove_again(stores.ledger, _removal(stores, caller, bucket_identifier))
        if again is None:
            raise
        return removed(f"The bucket '{bucket_identifier}'", again)
    task = _removal(stores, caller, bucket.bucket_id)
    receipt = remove(stores.buckets, stores.batches, stores.ledger, bucket=bucket, task=task)
    return removed(f"The bucket '{bucket.bucket_name}'", receipt)


def _removal(stores: Stores, caller: Caller, bucket_id: str) -> NewTask:
    return NewTask(
        task_type=TASK_TYPE,
        namespace_id=caller.namespace_id,
        inputs=[bucket_id],
        actor=caller.actor,
        additional_data={"bucket_id": bucket_id, "request_id": current_request_id()},
        max_attempts=stores.settings.max_attempts,
    )


def _schema(sent: JsonObject) -> BucketSchema:
    """The schema; a null in a property says nothing, and the public client sends some."""
    properties = sent.get("properties")
    if isinstance(properties, dict):
        said = {
            name: {k: v for k, v in raw.items() if v is not None} if isinstance(raw, dict) else raw
            for name, raw in properties.items()
        }
        sent = {**sent, "properties": said}
    return BucketSchema.parse(sent, ("body", "bucket_schema"))


def _described(stores: Stores, bucket: Bucket) -> JsonObject:
    usage = stores.objects.usage([bucket.bucket_id])
    return _json(bucket, usage.get(bucket.bucket_id, Usage()))


def _json(bucket: Bucket, usage: Usage) -> JsonObject:
    return {
        **bucket.to_json(),
        "object_count": usage.object_count,
        "total_size_bytes": usage.total_size_bytes,
    }
