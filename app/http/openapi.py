"""The OpenAPI document: what FastAPI makes of the routes, and what they have in common."""

from collections.abc import Iterator
from typing import Final

from fastapi import FastAPI

from app.http import component, idempotency, request_id
from app.http.answer import DESCRIPTIONS, header_refs, ref
from app.http.component import Schema, failure
from app.http.problem import TYPES

METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})
OF_EVERY_ROUTE: Final = frozenset({500, 503})
OF_KEYS: Final = frozenset({400, 401, 403, 429})
OF_BODIES: Final = frozenset({400, 413, 422})


class Api(FastAPI):
    """FastAPI, with a document that says all that a route may answer."""

    def openapi(self) -> Schema:
        before = self.openapi_schema
        document = super().openapi()
        if document is not before:
            complete(document)
        return document


def complete(document: Schema) -> None:
    """Adds what routes share to FastAPI's document, in place."""
    component.add(document.setdefault("components", {}))
    for operation in operations(document):
        _add_failures(operation)
        _add_headers(operation)
        operation["summary"] = operation["summary"].capitalize()
        operation["parameters"].append(ref("parameters", request_id.HEADER))
        operation.pop(idempotency.MARK, None)


def operations(document: Schema) -> Iterator[Schema]:
    """Every operation of the document."""
    for path in document.get("paths", {}).values():
        yield from (operation for method, operation in path.items() if method in METHODS)


def _add_failures(operation: Schema) -> None:
    """The failures that follow from what it takes, and those that its route declares."""
    responses: Schema = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    for status in sorted(_shared_failures(operation)):
        responses.setdefault(str(status), ref("responses", TYPES[status]))
    for code, response in responses.items():
        if int(code) in DESCRIPTIONS and not {"$ref", "content"} & response.keys():
            limits = "security" in operation
            responses[code] = failure(int(code), response["description"], limits=limits)


def _shared_failures(operation: Schema) -> set[int]:
    parameters = operation.setdefault("parameters", [])
    found = set(OF_EVERY_ROUTE)
    if "security" in operation:
        found |= OF_KEYS
    if "requestBody" in operation:
        found |= OF_BODIES
    if parameters:
        found.add(422)
    if any(each["in"] == "path" or each["name"] == "X-Namespace" for each in parameters):
        found.add(404)
    if idempotency.MARK in operation:
        found.add(409)
    return found


def _add_headers(operation: Schema) -> None:
    names = [request_id.HEADER, *(component.LIMITS if "security" in operation else ())]
    for code, response in operation["responses"].items():
        if "$ref" in response:
            continue
        replayed = idempotency.MARK in operation and int(code) < 300
        also = [idempotency.REPLAYED] if replayed else []
        response["headers"] = {**header_refs([*names, *also]), **response.get("headers", {})}
        for content in response.get("content", {}).values():
            # Beside the model stands what FastAPI makes of the route's `dict[str, object]`.
            if "$ref" in content.get("schema", {}):
                content["schema"] = {"$ref": content["schema"]["$ref"]}
