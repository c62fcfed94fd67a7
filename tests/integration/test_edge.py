"""Every failure has the one shape; bodies are bounded; request ids come back."""

import json
import socket
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from pymongo import MongoClient

from app.database import Document
from app.embedded.port import LOOPBACK, free_ports
from app.errors import PermanentError, UnavailableError
from app.http import edge
from app.settings import Settings
from tests.integration.conftest import serving
from tests.integration.resources import error

LIMIT = 2048


@pytest.fixture
def bare() -> Iterator[httpx.Client]:
    """An app of a few routes behind the edge, with a small body limit."""
    app = FastAPI()
    edge.install(app, Settings.model_validate({"max_body_bytes": LIMIT}))

    @app.post("/echo")
    def echo(body: dict[str, object]) -> dict[str, object]:
        return body

    @app.get("/defect")
    def defect() -> None:
        raise RuntimeError("mongodb://user:secret@host")

    @app.get("/unavailable")
    def unavailable() -> None:
        raise UnavailableError("Wait a little")

    @app.get("/permanent")
    def permanent() -> None:
        raise PermanentError("It cannot work")

    @app.get("/database")
    def database() -> None:
        (port,) = free_ports(1)
        with MongoClient[Document](LOOPBACK, port, serverSelectionTimeoutMS=50) as client:
            client["x"]["x"].find_one()

    with serving(app) as url, httpx.Client(base_url=url, timeout=10) as client:
        yield client


def test_failures_have_one_shape(bare: httpx.Client) -> None:
    found = error(bare.get("/defect"), 500, "InternalServerError")
    assert "secret" not in json.dumps(found)
    response = bare.get("/unavailable")
    assert error(response, 503, "ServiceUnavailableError")["message"] == "Wait a little"
    assert int(response.headers["retry-after"]) > 0
    found = error(bare.get("/database"), 503, "ServiceUnavailableError")
    assert LOOPBACK not in json.dumps(found)
    error(bare.get("/permanent"), 400, "BadRequestError")
    error(bare.get("/nope"), 404, "NotFoundError")
    error(bare.delete("/echo"), 405, "MethodNotAllowedError")
    error(bare.post("/echo", json=[]), 422, "ValidationError")
    json_header = {"content-type": "application/json"}
    for broken in (b"{", b'{"a": }', b"\xff", b"[" * 1500):
        response = bare.post("/echo", content=broken, headers=json_header)
        error(response, 400, "BadRequestError")


def test_bodies_above_the_limit_are_refused(bare: httpx.Client) -> None:
    def parts(size: int) -> Iterator[bytes]:
        yield b'{"a": "'
        yield from (b"x" for _ in range(size))
        yield b'"}'

    json_header = {"content-type": "application/json"}
    fits = b'{"a": "' + b"x" * (LIMIT - 9) + b'"}'
    assert bare.post("/echo", content=fits, headers=json_header).is_success
    for content in (fits + b" ", parts(LIMIT)):
        response = bare.post("/echo", content=content, headers=json_header)
        error(response, 413, "PayloadTooLargeError")
    assert bare.post("/echo", content=parts(100), headers=json_header).is_success
    error(bare.request("GET", "/nope", content=b"x" * (LIMIT + 1)), 413, "PayloadTooLargeError")


def test_an_announced_body_is_refused_before_it_comes(bare: httpx.Client) -> None:
    head = f"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {LIMIT + 1}\r\n\r\n"
    with socket.create_connection((bare.base_url.host, bare.base_url.port or 80), 5) as raw:
        raw.sendall(head.encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("sent", ["abc-123", "A.b_c:d/e+f=", "x" * 128])
def test_a_sane_request_id_comes_back(bare: httpx.Client, sent: str) -> None:
    for path in ("/nope", "/defect", "/unavailable"):
        assert bare.get(path, headers={"X-Request-ID": sent}).headers.get_list("x-request-id") == [
            sent
        ]


@pytest.mark.parametrize("sent", ["", "a b", "x" * 129, '"quoted"', "<script>", "é"])
def test_any_other_request_id_is_replaced(bare: httpx.Client, sent: str) -> None:
    answer = bare.get("/nope", headers={b"X-Request-ID": sent.encode()})
    assert answer.headers["x-request-id"].startswith("req_")
