"""How a route declares its answers: models for the OpenAPI document, which no request runs.

Routes answer plain dicts; a fuzzing test holds what they really answer against these models.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from app.http.example import example
from app.http.problem import TYPES

Responses = dict[int | str, dict[str, Any]]

REF: Final = "#/components/{}/{}"
NOTHING: Final[Mapping[int, Any]] = {}
DESCRIPTIONS: Final[Mapping[int, str]] = {
    400: "The body is not JSON, or the request cannot be served as things stand.",
    401: "No API key, or one that is not known, was revoked or has expired.",
    403: "The key lacks the permission that this call needs.",
    404: "There is nothing like that in the namespace of the request.",
    409: "It clashes with what is there, or the `Idempotency-Key` was used with another body.",
    413: "The body is larger than the server takes.",
    422: "Something in the request is not valid; `details.validation_errors` says where.",
    429: "Too many requests or tasks; try again after `Retry-After` seconds.",
    500: "A defect on our side; the request id finds it in the logs.",
    503: "A store that the call needs does not answer at the moment; try again.",
}


class Answer(BaseModel):
    """The JSON of an answer: these keys and no others. One with a default may be missing."""

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        for described in handler.resolve_ref_schema(schema).get("properties", {}).values():
            described.pop("default", None)  # nobody fills it in: the key is just not there
        return schema


Time = Annotated[
    str,
    Field(
        description="RFC 3339, UTC, milliseconds",
        examples=["2026-01-31T12:00:00.000Z"],
        json_schema_extra={"format": "date-time"},
    ),
]
Json = dict[str, object]


class ValidationProblem(Answer):
    """One thing that is not valid: its place in the request and what would be right."""

    type: str
    location: list[str | int]
    message: str


class ProblemDetails(Answer):
    """Where a request is not valid; empty for every other kind of failure."""

    validation_errors: list[ValidationProblem] = Field(default_factory=list)


class ProblemError(Answer):
    """What went wrong, for people and, as `type` and `code`, for programs."""

    message: str
    type: Annotated[str, Field(json_schema_extra={"enum": sorted(set(TYPES.values()))})]
    code: str
    details: ProblemDetails


class Problem(Answer):
    """The one shape of every failed answer."""

    success: Literal[False]
    status: int
    error: ProblemError


class Done(Answer):
    """That it is done, in a sentence."""

    model_config = example({"success": True, "message": "The bucket 'goods' is deleted"})

    success: Literal[True]
    message: str


def answers(
    model: object,
    errors: Mapping[int, str] = NOTHING,
    *,
    status: int = 200,
    headers: Iterable[str] = (),
    also: Mapping[int, dict[str, Any]] = NOTHING,
) -> Responses:
    """The `responses=` of a route: `model` with `status`, and the failures that are its own.

    Those that many routes share, `app.http.openapi` adds. `headers` are names that
    `app.http.component` describes; `also` is for answers of other shapes, as FastAPI takes them.
    """
    found: Responses = {status: {"model": model, "headers": header_refs(headers)}}
    for code, text in errors.items():
        found[code] = {"description": text}
    found.update(also.items())
    return found


def ref(kind: str, name: str) -> dict[str, Any]:
    """A reference to a part of the document: `headers`, `parameters`, `responses`, `schemas`."""
    return {"$ref": REF.format(kind, name)}


def header_refs(names: Iterable[str]) -> dict[str, Any]:
    """References to the headers, by name."""
    return {name: ref("headers", name) for name in names}
