"""s3:// URLs against a real S3 server."""

import asyncio

import pytest

from app.embedded.port import free_ports
from app.errors import PermanentError, TransientError
from app.fetch.reader import ContentReader
from app.fetch.s3 import S3Options, S3Reader
from tests.s3_server import FORBIDDEN, READABLE, READER, S3Server, endpoint_url

MAX_BYTES = 100_000
PLACES = (READABLE, FORBIDDEN)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in READER.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def options(server: S3Server, *places: str, timeout_s: float = 30.0) -> S3Options:
    return S3Options(places or PLACES, server.endpoint_url, "us-east-1", timeout_s)


async def read_all(options: S3Options, *urls: str) -> list[bytes | BaseException]:
    """What each of the URLs gives, read side by side with one reader."""
    reader = ContentReader({"s3": S3Reader(options, MAX_BYTES)})
    try:
        return await asyncio.gather(*map(reader.read, urls), return_exceptions=True)
    finally:
        await reader.close()


def read(options: S3Options, url: str) -> bytes:
    [found] = asyncio.run(read_all(options, url))
    if isinstance(found, BaseException):
        raise found
    return found


def test_objects_are_read_side_by_side(s3_server: S3Server) -> None:
    contents = {f"many/{n}.txt": f"number {n}".encode() * n for n in range(40)}
    s3_server.put(contents)
    urls = [f"s3://{READABLE}/{key}" for key in contents]
    assert asyncio.run(read_all(options(s3_server), *urls)) == list(contents.values())


@pytest.mark.parametrize("key", ["a b.txt", "é/ü.txt", "a+b&c=d.txt", "100%25.txt", "q?x#y"])
def test_a_key_is_taken_as_it_stands_in_the_url(s3_server: S3Server, key: str) -> None:
    s3_server.put({key: key.encode()})
    assert read(options(s3_server), f"s3://{READABLE}/{key}") == key.encode()


def test_a_missing_key_fails_for_good(s3_server: S3Server) -> None:
    with pytest.raises(PermanentError, match="S3 has no object under the key"):
        read(options(s3_server), f"s3://{READABLE}/nothing")


def test_what_the_credentials_may_not_read_fails_for_good(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_server.put({"secret.txt": b"secret"}, bucket=FORBIDDEN)
    url = f"s3://{FORBIDDEN}/secret.txt"
    with pytest.raises(PermanentError, match="does not let the workers read"):
        read(options(s3_server), url)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a wrong one")
    with pytest.raises(PermanentError, match="does not let the workers read") as refused:
        read(options(s3_server), f"s3://{READABLE}/ready")
    assert "wrong one" not in str(refused.value)


def test_without_credentials_the_sentence_says_so(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in READER:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(PermanentError, match="no complete credentials"):
        read(options(s3_server), f"s3://{READABLE}/ready")


def test_a_bucket_that_is_not_named_is_never_asked_for(s3_server: S3Server) -> None:
    s3_server.put({"in/a.txt": b"in", "inside.txt": b"out"})
    assert read(options(s3_server, f"{READABLE}/in"), f"s3://{READABLE}/in/a.txt") == b"in"
    for url in (f"s3://{READABLE}/inside.txt", f"s3://{FORBIDDEN}/in/a.txt"):
        with pytest.raises(PermanentError, match="names nothing in the buckets"):
            read(options(s3_server, f"{READABLE}/in"), url)


def test_the_bound_of_bytes_holds(s3_server: S3Server) -> None:
    s3_server.put({"full": b"x" * MAX_BYTES, "over": b"x" * (MAX_BYTES + 1), "empty": b""})
    assert len(read(options(s3_server), f"s3://{READABLE}/full")) == MAX_BYTES
    assert read(options(s3_server), f"s3://{READABLE}/empty") == b""
    with pytest.raises(PermanentError, match="more than the 100000 bytes"):
        read(options(s3_server), f"s3://{READABLE}/over")


def test_a_server_that_is_away_is_transient() -> None:
    (port,) = free_ports(1)
    away = S3Options(PLACES, endpoint_url(port), "us-east-1", 30.0)
    with pytest.raises(TransientError, match="S3 cannot be reached now"):
        read(away, f"s3://{READABLE}/ready")


@pytest.mark.parametrize("endpoint", ["http://user:secret@in side:9000", "http://minio_1:9000"])
def test_a_wrong_endpoint_is_not_told(endpoint: str) -> None:
    with pytest.raises(PermanentError, match="WAYBILL_S3_ENDPOINT_URL") as refused:
        read(S3Options(PLACES, endpoint, "us-east-1", 30.0), f"s3://{READABLE}/ready")
    assert endpoint not in str(refused.value)
