"""The parts of the OpenAPI document that routes share: headers, failures, a parameter."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, RootModel

from app.http import cached, idempotency, rate_limit, request_id
from app.http.answer import DESCRIPTIONS, REF, Answer, Problem, header_refs, ref
from app.http.problem import TYPES, failure_json

Schema = dict[str, Any]

_SECONDS: Final[Schema] = {"type": "integer", "minimum": 0}

LIMITS: Final = (rate_limit.LIMIT, rate_limit.REMAINING, rate_limit.RESET)
HEADERS: Final[Mapping[str, Schema]] = {
    request_id.HEADER: {
        "description": "The id of the request, as it was sent or as it was made here.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Retry-After": {"description": "Ask again after this many seconds.", "schema": _SECONDS},
    "ETag": {
        "description": "The state of what was read, for `If-None-Match`.",
        "schema": {"type": "string"},
    },
    cached.HEADER: {
        "description": "Whether the answer was made some seconds ago, or just now.",
        "schema": {"type": "string", "enum": [cached.HIT, cached.MISS]},
    },
    "WWW-Authenticate": {"description": "`Bearer`", "schema": {"type": "string"}},
    idempotency.REPLAYED: {
        "description": "`true` where this is the first answer, given again.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    rate_limit.LIMIT: {
        "description": "Requests a minute that the key may make, where it has a limit.",
        "schema": {"type": "integer", "minimum": 0},
    },
    rate_limit.REMAINING: {
        "description": "Requests that the key may make now.",
        "schema": {"type": "integer", "minimum": 0},
    },
    rate_limit.RESET: {
        "description": "Until the key may make all of them again.",
        "schema": _SECONDS,
    },
}
_OF_FAILURE: Final[Mapping[int, tuple[str, ...]]] = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
_REQUEST_ID: Final[Schema] = {
    "name": request_id.HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "An id of your own, for logs and receipts: up to 128 of `A-Za-z0-9._:/+=-`.",
    "example": "ci-4711",
}


def failure(status: int, description: str, *, limits: bool) -> Schema:
    """A response of the one shape of failures; `limits` where a key's limit may be told."""
    names = [request_id.HEADER, *_OF_FAILURE.get(status, ()), *(LIMITS if limits else ())]
    content = {
        "schema": ref("schemas", "Problem"),
        "example": failure_json(status, description, _example_details(status)),
    }
    return {
        "description": description,
        "headers": header_refs(names),
        "content": {"application/json": content},
    }


def add(components: Schema) -> None:
    """Adds the shared parts to the document's components."""
    schemas: Schema = components.setdefault("schemas", {})
    for fastapis_own in ("HTTPValidationError", "ValidationError"):
        schemas.pop(fastapis_own, None)
    template = REF.format("schemas", "{model}")
    problem = Problem.model_json_schema(mode="serialization", ref_template=template)
    schemas.update(problem.pop("$defs"), Problem=problem)
    for model in (*_below(Answer), *_below(RootModel)):
        extra = model.model_config.get("json_schema_extra")
        if model.__name__ in schemas and isinstance(extra, dict) and "examples" in extra:
            # FastAPI drops every null from its document, those of examples too.
            schemas[model.__name__]["examples"] = extra["examples"]
    components["headers"] = dict(HEADERS)
    components["parameters"] = {request_id.HEADER: _REQUEST_ID}
    components["responses"] = {
        TYPES[status]: failure(status, text, limits=status != 401)
        for status, text in DESCRIPTIONS.items()
    }


def _below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for each in model.__subclasses__():
        yield each
        yield from _below(each)


def _example_details(status: int) -> Mapping[str, object]:
    if status != 422:
        return {}
    place = ["body", "bucket_name"]
    problem = {"type": "missing", "location": place, "message": "bucket_name: Field required"}
    return {"validation_errors": [problem]}
