"""The OpenAPI document is valid and whole: nothing is left without a word or an example."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
import pytest
import schemathesis

from app.http.answer import DESCRIPTIONS
from app.main import create_app
from app.settings import Settings

Json = dict[str, Any]

OPEN_PATHS = {"/v1/health", "/v1/health/beat", "/metrics"}
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Described:
    """The document, and its operations by method and path."""

    document: Json

    @property
    def operations(self) -> dict[str, Json]:
        return {
            f"{method.upper()} {path}": operation
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
        }

    def resolved(self, part: Json) -> Json:
        """The part, or what it refers to."""
        while "$ref" in part:
            target: Any = self.document
            for step in part["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            part = target
        return part

    def contents(self, operation: Json) -> Iterator[Json]:
        """The JSON contents of the request and of every answer."""
        if "requestBody" in operation:
            yield operation["requestBody"]["content"][JSON]
        for response in operation["responses"].values():
            content = self.resolved(response).get("content", {})
            if JSON in content:
                yield content[JSON]

    def examples(self, content: Json) -> list[object]:
        """What the content or its schema shows; an optional body is a union with null."""
        if "example" in content:
            return [content["example"]]
        schemas = content["schema"].get("anyOf", [content["schema"]])
        return [one for each in schemas for one in self.resolved(each).get("examples", ())]


@pytest.fixture(scope="module")
def api() -> Described:
    return Described(create_app(Settings.model_validate({})).openapi())


def test_it_is_valid_openapi(api: Described) -> None:
    schemathesis.openapi.from_dict(api.document).validate()


def test_it_says_what_the_api_is(api: Described) -> None:
    document = api.document
    assert document["info"]["title"] == "Waybill"
    assert document["info"]["version"]
    assert "X-Namespace" in document["info"]["description"]
    assert all(server["url"].startswith("/") for server in document["servers"])
    described = {tag["name"] for tag in document["tags"] if tag["description"]}
    assert {tag for each in api.operations.values() for tag in each["tags"]} <= described
    assert document["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"


def test_operation_ids_are_names_of_their_own(api: Described) -> None:
    ids = [operation["operationId"] for operation in api.operations.values()]
    assert len(set(ids)) == len(ids)
    assert all(each.isidentifier() and each.islower() for each in ids)


def test_there_are_words_for_people(api: Described) -> None:
    for name, operation in api.operations.items():
        assert operation["summary"], name
        assert operation["description"], name
        for response in operation["responses"].values():
            assert api.resolved(response)["description"], name


def test_every_json_has_an_example_that_fits_its_schema(api: Described) -> None:
    components = api.document["components"]
    for name, operation in api.operations.items():
        for content in api.contents(operation):
            shown = api.examples(content)
            assert shown, (name, content)
            schema = {**content["schema"], "components": components}
            validator = jsonschema_rs.Draft202012Validator(schema)
            for example in shown:
                validator.validate(example)


def test_every_success_has_a_model(api: Described) -> None:
    for name, operation in api.operations.items():
        (success,) = [each for code, each in operation["responses"].items() if code[0] == "2"]
        if JSON in success["content"]:
            assert "$ref" in success["content"][JSON]["schema"], name


def test_failures_are_declared(api: Described) -> None:
    for name, operation in api.operations.items():
        declared = {int(code) for code in operation["responses"]}
        path = name.split()[1]
        assert {500, 503} <= declared, name
        assert ("security" in operation) is (path not in OPEN_PATHS), name
        assert path in OPEN_PATHS or {401, 403, 422, 429} <= declared, name
        assert "{" not in path or 404 in declared, name
        assert "requestBody" not in operation or {400, 413, 422} <= declared, name


def test_every_failure_has_the_one_shape(api: Described) -> None:
    for name, operation in api.operations.items():
        for code, response in operation["responses"].items():
            if int(code) in DESCRIPTIONS and (name, code) != ("GET /v1/health/beat", "503"):
                content = api.resolved(response)["content"][JSON]
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}, name


def test_headers_are_declared(api: Described) -> None:
    for name, operation in api.operations.items():
        sent = {api.resolved(each)["name"] for each in operation["parameters"]}
        assert "X-Request-ID" in sent, name
        for response in operation["responses"].values():
            assert "X-Request-ID" in api.resolved(response)["headers"], name
    reading = api.operations["GET /v1/tasks/{task_id}"]
    assert {"ETag", "Retry-After"} <= reading["responses"]["200"]["headers"].keys()
    assert "304" in reading["responses"]


def test_nothing_of_the_framework_is_left(api: Described) -> None:
    schemas = api.document["components"]["schemas"]
    assert not {"HTTPValidationError", "ValidationError"} & schemas.keys()
    assert not [name for name in schemas if "__" in name]
    assert "x-waybill" not in str(api.document)
