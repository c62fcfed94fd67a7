"""Resources that tests make through the API, and what they expect of its answers."""

import base64
from collections.abc import Callable
from typing import Any

import httpx

Json = dict[str, Any]
ClientMaker = Callable[..., httpx.Client]

SCHEMA = {
    "properties": {
        "body": {"type": "text", "required": True},
        "price": {"type": "float"},
        "sku": {"type": "string"},
        "picture": {"type": "image"},
    }
}
PIXELS = base64.b64encode(b"not really a picture").decode()


def made(response: httpx.Response) -> Json:
    """The JSON of an answer that must be a success."""
    assert response.is_success, response.text
    answer: Json = response.json()
    return answer


def error(response: httpx.Response, status: int, kind: str) -> Json:
    """The error of an answer that must be this failure, in the one shape that failures have."""
    assert response.status_code == status, response.text
    answer = response.json()
    assert answer.keys() == {"success", "status", "error"}
    assert (answer["success"], answer["status"]) == (False, status)
    found: Json = answer["error"]
    assert found.keys() == {"message", "type", "code", "details"}
    assert found["type"] == kind
    assert response.headers["x-request-id"]
    return found


def places(found: Json) -> list[list[str | int]]:
    """Where the validation errors stand."""
    return [each["location"] for each in found["details"]["validation_errors"]]


def make_bucket(client: httpx.Client, name: str = "goods", **more: Any) -> Json:
    body = {"bucket_name": name, "bucket_schema": SCHEMA, **more}
    return made(client.post("/v1/buckets", json=body))


def thing(text: str = "hello", **fields: Any) -> Json:
    return {"blobs": [{"property": "body", "type": "text", "data": text}], **fields}


def make_object(client: httpx.Client, bucket: Json, **fields: Any) -> Json:
    url = f"/v1/buckets/{bucket['bucket_id']}/objects"
    return made(client.post(url, json=thing(**fields)))


def collection_body(bucket: Json, name: str = "texts", **more: Any) -> Json:
    return {
        "collection_name": name,
        "source": {"type": "bucket", "bucket_ids": [bucket["bucket_id"]]},
        "feature_extractor": {
            "feature_extractor_name": "text",
            "parameters": {},
            "input_mappings": {"text": "body"},
        },
        **more,
    }


def make_collection(client: httpx.Client, bucket: Json, name: str = "texts", **more: Any) -> Json:
    return made(client.post("/v1/collections", json=collection_body(bucket, name, **more)))
