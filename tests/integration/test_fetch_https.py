"""https:// URLs against a real server over TLS."""

import asyncio
from ipaddress import ip_network

import pytest

from app.egress.guard import EgressRefusedError, Guard
from app.embedded.port import free_ports
from app.errors import InvalidError, PermanentError, TransientError
from app.fetch.https import Egress, HttpsReader
from app.fetch.reader import ContentReader
from tests.web import ADDRESS, Answer, Web

MAX_BYTES = 100_000


def reader(web: Web, *ports: int, timeout_s: float = 30.0) -> ContentReader:
    guard = Guard((ip_network(ADDRESS),), frozenset({web.port, *ports}))
    egress = Egress(guard, web.ca_file, timeout_s)
    return ContentReader({"https": HttpsReader(egress, MAX_BYTES)})


def read(reader: ContentReader, url: str) -> bytes:
    async def once() -> bytes:
        try:
            return await reader.read(url)
        finally:
            await reader.close()

    return asyncio.run(once())


def test_content_is_read(web: Web) -> None:
    url = web.put("/https/a?b=c%20d", b"content")
    reader(web).check_url(url)
    assert read(reader(web), url) == b"content"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_a_server_in_trouble_is_transient(web: Web, status: int) -> None:
    web.answers[f"/https/{status}"] = Answer(status=status, headers={"Retry-After": "3600"})
    with pytest.raises(TransientError, match=f"answered {status}"):
        read(reader(web), web.url(f"/https/{status}"))


@pytest.mark.parametrize("status", [204, 206, 300, 304, 400, 401, 403, 404, 410, 418, 451])
def test_other_answers_are_for_good(web: Web, status: int) -> None:
    web.answers[f"/https/{status}"] = Answer(status=status)
    with pytest.raises(PermanentError, match=f"answered {status}, not 200"):
        read(reader(web), web.url(f"/https/{status}"))


def test_three_redirects_are_followed_and_no_more(web: Web) -> None:
    url = web.put("/https/hop/0", b"found")
    for hop, status in enumerate((301, 302, 307, 308), 1):
        # The first names its target relatively, the others in full.
        target = "0" if hop == 1 else web.url(f"/https/hop/{hop - 1}")
        headers = {"Location": target}
        web.answers[f"/https/hop/{hop}"] = Answer(b"moved", status, headers)
    assert read(reader(web), url.replace("/0", "/3")) == b"found"
    with pytest.raises(PermanentError, match="redirected more than 3 times"):
        read(reader(web), url.replace("/0", "/4"))


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("http://127.0.0.2/", "must begin with https://"),
        ("https://127.0.0.1/", "may not be called"),
        ("https://localhost:{port}/", "may not be called"),
        ("//169.254.169.254/latest", "may not be called"),
        ("https://127.0.0.2:6379/", "port"),
        ("https://user:secret@127.0.0.2/", "no user name"),
        ("file:///etc/passwd", "must begin with https://"),
        ("https://[", "cannot be read|wrong"),
    ],
)
def test_each_redirect_is_checked_as_the_url_is(web: Web, location: str, said: str) -> None:
    target = location.format(port=web.port)
    web.answers["/https/away"] = Answer(status=302, headers={"Location": target})
    with pytest.raises(PermanentError, match=said) as refused:
        read(reader(web), web.url("/https/away"))
    assert "secret" not in str(refused.value)


def test_a_redirect_to_nowhere_is_for_good(web: Web) -> None:
    web.answers["/https/nowhere"] = Answer(status=302)
    web.answers["/https/nowhere/0"] = Answer(status=302, headers={"Location": ""})
    for path in ("/https/nowhere", "/https/nowhere/0"):
        with pytest.raises(PermanentError, match="redirected"):
            read(reader(web), web.url(path))


def test_the_bound_of_bytes_holds_whatever_the_server_says(web: Web) -> None:
    for chunked in (False, True):
        path = f"/https/size/{chunked}"
        web.answers[path] = Answer(b"x" * MAX_BYTES, chunked=chunked)
        assert len(read(reader(web), web.url(path))) == MAX_BYTES
        web.answers[path] = Answer(b"x" * (MAX_BYTES + 1), chunked=chunked)
        with pytest.raises(PermanentError, match="more than the 100000 bytes"):
            read(reader(web), web.url(path))


def test_a_server_that_drips_is_left_after_the_time_out(web: Web) -> None:
    web.answers["/https/drips"] = Answer(drips=True)
    with pytest.raises(TransientError, match="took too long"):
        read(reader(web, timeout_s=0.5), web.url("/https/drips"))


def test_compressed_content_is_refused(web: Web) -> None:
    web.answers["/https/packed"] = Answer(b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    with pytest.raises(PermanentError, match="compressed"):
        read(reader(web), web.url("/https/packed"))


def test_a_denied_address_is_refused_at_once_or_when_it_is_dialled(web: Web) -> None:
    literal = web.url("/https/a", host="127.0.0.1")
    with pytest.raises(InvalidError, match="may not be called"):
        reader(web).check_url(literal)
    by_name = web.url("/https/a", host="localhost")
    reader(web).check_url(by_name)
    for url in (literal, by_name):
        with pytest.raises(EgressRefusedError) as refused:
            read(reader(web), url)
        assert "127." not in str(refused.value)


def test_a_server_that_is_away_is_transient(web: Web) -> None:
    (port,) = free_ports(1)
    with pytest.raises(TransientError, match="cannot be reached now") as away:
        read(reader(web, port), f"https://{ADDRESS}:{port}/")
    assert ADDRESS not in str(away.value)


def test_an_untrusted_certificate_is_for_good(web: Web) -> None:
    guard = Guard((ip_network(ADDRESS),), frozenset({web.port}))
    untrusting = ContentReader({"https": HttpsReader(Egress(guard, None, 30.0), MAX_BYTES)})
    with pytest.raises(PermanentError, match="no certificate that is trusted"):
        read(untrusting, web.url("/https/a"))


def test_a_host_that_does_not_exist_is_not_reached(web: Web) -> None:
    # `.invalid` is no name anywhere (RFC 2606); without a resolver nobody knows that for sure.
    with pytest.raises((PermanentError, TransientError), match=r"does not exist|looked up"):
        read(reader(web), "https://nothing.invalid/")


def test_one_reader_reads_many_side_by_side(web: Web) -> None:
    urls = [web.put(f"/https/many/{n}", f"number {n}".encode()) for n in range(50)]

    async def read_all(reader: ContentReader) -> list[bytes]:
        try:
            return await asyncio.gather(*map(reader.read, urls))
        finally:
            await reader.close()

    found = asyncio.run(read_all(reader(web)))
    assert found == [f"number {n}".encode() for n in range(50)]
